"""Pixels to tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.images.arrays import to_array
from i2i.images.decoded import PixelArray


def to_tensor(pixels: PixelArray, channels: int) -> Tensor:
    """Convert pixels (H, W, C) to a float32 tensor (channels, H, W) in [-1, 1]; see `i2i.images.arrays.to_array`.

    Raises:
        ImageError: the image has another number of channels and isn't grey or RGB.
    """
    return torch.from_numpy(to_array(pixels, channels))
