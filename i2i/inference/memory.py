"""How much memory a network needs for an image, and how much is free."""

from __future__ import annotations

import contextlib
import copy
import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.networks.base import Generator


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full."""
    # On the CPU PyTorch raises a plain RuntimeError, whose text depends on the system; oneDNN's gives no reason.
    words: tuple[str, ...] = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
    words += ("could not create a primitive", "could not execute a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def free_memory(device: torch.device) -> int | None:
    """Free bytes, where the system kills a program that takes more (main memory on Linux); None elsewhere."""
    if device.type != "cpu":
        return None
    free: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        limit, used = (int(Path("/sys/fs/cgroup", f"memory.{what}").read_text()) for what in ("max", "current"))
        kinds = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        free.append(limit - used + int(kinds.get("inactive_file", 0)))  # the page cache is freed on demand
    return min(free) if free else None


_LIVE_COPIES = 4  # tensors as large as the largest output that are in memory at once, PyTorch's own included: measured


def memory_per_pixel(generator: Generator) -> float:
    """About how many bytes a pixel of the input takes on its way through a network, in float32.

    Measured once for each network.
    """
    if generator not in _measured:
        multiple = generator.multiple
        side = -(-max(generator.smallest, 64) // multiple) * multiple
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
