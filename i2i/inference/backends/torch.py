"""Translation by a PyTorch network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.device import isolated
from i2i.images.arrays import Array
from i2i.inference.backends.base import Backend
from i2i.inference.footprint import memory_per_pixel
from i2i.inference.tiling.exact import ExactTiler
from i2i.networks import Generator

if TYPE_CHECKING:
    from hashlib import _Hash


class TorchBackend(Backend):
    """A generator on a device; tensors that are on it already aren't copied, and tiles are exact.

    Attributes:
        generator: the network, in evaluation mode.
    """

    def __init__(self, generator: Generator, *, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self.device = str(self._device)
        with isolated(self.device):
            self.generator = generator.to(self._device).eval()
        self.spec = str(getattr(generator, "spec", type(generator).__name__))  # only `build_generator` sets it
        self.in_channels, self.out_channels = generator.in_channels, generator.out_channels
        self.multiple, self.smallest, self.latent = generator.multiple, generator.smallest, generator.latent

    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images; see `Backend.__call__`."""
        with isolated(self.device):
            array: NDArray[np.float32] = self.run(x, z).float().cpu().numpy()
            return array

    def run(self, x: Array, z: NDArray[np.float32] | None = None) -> Tensor:
        """The same with images that may be tensors on any device; the result is on the network's."""
        latent = () if z is None else (torch.from_numpy(z).to(self._device),)
        result: Tensor = self.generator(torch.as_tensor(x).to(self._device), *latent)
        return result

    def tiler(self) -> ExactTiler:
        """Tiles with the normalisation statistics of the full image, in windows as wide as the receptive field."""
        return ExactTiler(self.generator, self._device)

    def memory_per_pixel(self) -> float:
        """About how many bytes a pixel of the input takes on its way through the network, in float32."""
        return memory_per_pixel(self.generator)

    def hash_weights(self, digest: _Hash) -> None:
        """Add all weights and buffers to a checksum, the same on every device."""
        for name, tensor in self.generator.state_dict().items():
            values = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(values.view(torch.uint8).numpy())
