"""Images as scores take them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.errors import UsageError
from i2i.images.decoded import PixelArray, full_scale

Pixels: TypeAlias = NDArray[np.float64]


def pixels_of(pixels: PixelArray) -> Pixels:
    """Levels (H, W, C) of any depth as floats in [0, 255]; those of 8 bit are whole numbers."""
    return pixels.astype(np.float64) * (255 / full_scale(pixels.dtype))


def only_colour(channels: int, flag: str) -> None:
    """Refuse images that a network of colour images can't see; grey ones are repeated for it.

    Raises:
        UsageError: they have another number of channels than 1 or 3.
    """
    if channels not in (1, 3):
        raise UsageError(f"{flag} is for grey or colour images, and this model gives {channels} channels: leave it out")
