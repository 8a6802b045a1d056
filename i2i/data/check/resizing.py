"""Resizing without torch, which takes longer to import than a small data set takes to check."""

from __future__ import annotations

import numpy as np
from PIL import Image

from i2i.images.decoded import PixelArray, full_scale


def resized(image: PixelArray, size: int) -> PixelArray:
    """Resize an image (H, W, C) to (size, size, C), bicubic and antialiased; deep images become float32."""
    if image.shape[:2] == (size, size):
        return image
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return _bicubic(image, size)
    planes = np.moveaxis(image if image.dtype == np.uint8 else image.astype(np.float32), -1, 0)
    return np.stack([_bicubic(plane, size) for plane in planes], axis=-1).clip(0, full_scale(image.dtype))


def _bicubic(pixels: PixelArray, size: int) -> PixelArray:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
