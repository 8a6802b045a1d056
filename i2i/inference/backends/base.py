"""The interface between images and the library that computes a translation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from i2i.images.arrays import Array, as_array
from i2i.inference.memory import free_memory
from i2i.inference.tiling.blended import BlendedTiler
from i2i.inference.tiling.tiler import Tiler

if TYPE_CHECKING:
    from hashlib import _Hash

_FEW_PIXELS = 2**20  # any machine has memory for these


class Backend(ABC):
    """A network that a `Translator` runs, computed by any library; several threads may call it at once.

    A subclass sets the attributes without a default and implements `__call__`; that is all, unless it has weights to
    tell apart (`hash_weights`), knows what memory it takes (`memory_per_pixel`), or tiles better than by blending.

    Attributes:
        spec: the network in one string, for messages and for the record of a folder conversion.
        in_channels: channels of the input.
        out_channels: channels of the output.
        multiple: height and width of the input are multiples of this,
        smallest: and at least this.
        window: height and width that the input must have, where it takes no other; images are translated in windows.
        latent: length of the latent z that chooses among the plausible outputs; 0 where there is one output.
        device: where it computes, as PyTorch names it: `cpu`, `cuda:0`.
    """

    spec: str
    in_channels: int
    out_channels: int
    multiple: int = 1
    smallest: int = 1
    window: int | None = None
    latent: int = 0
    device: str = "cpu"

    @abstractmethod
    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images.

        Args:
            x: (N, in_channels, H, W) in [-1, 1].
            z: (N, latent) from N(0, 1), if `latent` isn't 0.

        Returns:
            (N, out_channels, H, W) in [-1, 1].
        """

    def run(self, x: Array, z: NDArray[np.float32] | None = None) -> Array:
        """The same with images that may be tensors on any device, which `TorchBackend` doesn't move needlessly."""
        return np.ascontiguousarray(self(np.ascontiguousarray(as_array(x), np.float32), z), np.float32)

    def tiler(self) -> Tiler:
        """What translates an image tile by tile: overlapping tiles, blended."""
        return BlendedTiler(self.run, multiple=self.multiple, smallest=self.smallest)

    def memory_per_pixel(self) -> float | None:
        """About how many bytes a pixel of the input takes on its way through the network; None if that is unknown."""
        return None

    def fits(self, pixels: int) -> bool:
        """Whether memory probably suffices, where the system would kill the program rather than refuse memory."""
        if pixels < _FEW_PIXELS:
            return True
        free, needed = free_memory(self.device), self.memory_per_pixel()
        return free is None or needed is None or pixels * needed < free

    def hash_weights(self, digest: _Hash) -> None:
        """Add to a checksum what the results depend on besides `spec`: by default the class alone."""
        digest.update(type(self).__qualname__.encode())
