"""How much memory a network takes for an image."""

from __future__ import annotations

import copy
import weakref

import torch
from torch import Tensor, nn

from i2i.images.padding import round_up
from i2i.networks.base import Generator

_LIVE_COPIES = 4  # tensors as large as the largest output that are in memory at once, PyTorch's own included: measured


def memory_per_pixel(generator: Generator) -> float:
    """About how many bytes a pixel of the input takes on its way through a network, in float32.

    Measured once for each network.
    """
    if generator not in _measured:
        multiple = generator.multiple
        side = round_up(max(generator.smallest, 64), multiple)
        sizes: list[int] = []

        def record(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor):
                sizes.append(output[0].numel())

        network = copy.deepcopy(generator).cpu().eval()  # other threads may be using the generator
        with torch.no_grad():
            network(*blank_input(generator, side, side))  # virtual batch norm sees its reference, of any size
            for module in network.modules():
                module.register_forward_hook(record)
            network(*blank_input(generator, side, side))
        _measured[generator] = 4 * _LIVE_COPIES * max(sizes) / side**2
    return _measured[generator]


_measured: weakref.WeakKeyDictionary[Generator, float] = weakref.WeakKeyDictionary()


def blank_input(generator: Generator, height: int, width: int) -> list[Tensor]:
    """What a network is tried with: a grey image, and a latent if the network takes one."""
    image = torch.zeros(1, generator.in_channels, height, width, dtype=torch.float32)
    return [image, torch.zeros(1, generator.latent, dtype=torch.float32)] if generator.latent else [image]
