"""Images as scores expect them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.errors import UsageError, setting
from i2i.images.decoded import PixelArray, full_scale

Pixels: TypeAlias = NDArray[np.float64]


def pixels_of(pixels: PixelArray) -> Pixels:
    """Pixels (H, W, C) of any depth as floats in [0, 255]; 8-bit values are unchanged."""
    return pixels.astype(np.float64) * (255 / full_scale(pixels.dtype))


def check_grey_or_colour(channels: int, *, requested_by: str) -> None:
    """Refuse images that a network for colour images can't process; grey is repeated for it.

    Args:
        channels: of the images.
        requested_by: the setting that requests the network.

    Raises:
        UsageError: the number of channels is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise UsageError(
            f"{setting(requested_by)} needs grey or colour images, and this model's have {channels} channels: "
            "leave it out"
        )
