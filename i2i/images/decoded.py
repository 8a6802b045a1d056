"""A decoded image: its pixels, and what goes with them (alpha, colour profile, EXIF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.errors import ImageError
from i2i.images.tiff import Tag

PixelArray: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class DecodedImage:
    """An image as files hold it.

    Attributes:
        pixels: uint8, uint16, or float32 in [0, 1], (H, W, C); C is 1 (grey), 3 (RGB), or that of other channels.
        alpha: its transparency, (H, W), of the same depth, or None.
        icc: its colour profile, or None.
        exif: what a camera wrote, without the orientation, which is applied, or None.
        dpi: pixels per inch across and down, or None.
        geo: where on Earth it lies, as tags of a GeoTIFF.
        frames: images in the file, of which this is the first.
    """

    pixels: PixelArray
    alpha: PixelArray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: tuple[Tag, ...] = ()
    frames: int = 1


def to_pil(decoded: DecodedImage) -> Image.Image:
    """A PIL image; 16-bit and float grey stay as deep, colour of such depth, which PIL doesn't have, becomes 8 bit.

    Raises:
        ImageError: PIL has no image of so many channels.
    """
    whole = all_channels(decoded)
    if whole.shape[-1] > 4:
        raise ImageError(f"PIL has no image of {whole.shape[-1]} channels; give an array, or write a .tif or .npy")
    if whole.shape[-1] == 1 and whole.dtype != np.uint8:
        image = Image.fromarray(np.ascontiguousarray(whole[..., 0]))
    else:
        eight = np.ascontiguousarray(as_depth(whole, np.dtype(np.uint8)))
        image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    kept = {"icc_profile": decoded.icc, "exif": decoded.exif, "dpi": decoded.dpi}
    image.info |= {name: value for name, value in kept.items() if value}
    return image


def all_channels(image: DecodedImage) -> PixelArray:
    """Levels and alpha together, (H, W, C) or (H, W, C + 1)."""
    if image.alpha is None:
        return image.pixels
    return np.concatenate([image.pixels, image.alpha[..., None]], axis=-1)


def full_scale(depth: np.dtype[Any]) -> float:
    """The level of white: 255, 65535, or 1 for floats."""
    return float(np.iinfo(depth).max) if np.issubdtype(depth, np.integer) else 1.0


def as_depth(pixels: PixelArray, depth: np.dtype[Any]) -> PixelArray:
    """Levels of another depth, rounded to nearest."""
    if pixels.dtype == depth:
        return pixels
    scaled = pixels * (full_scale(depth) / full_scale(pixels.dtype))
    return (np.round(scaled) if np.issubdtype(depth, np.integer) else scaled).astype(depth)


def as_eight_bit(pixels: PixelArray) -> PixelArray:
    """Levels of 8 bits, rounded to nearest."""
    return as_depth(pixels, np.dtype(np.uint8))


def check_floats(values: NDArray[Any]) -> PixelArray:
    """Floats of a file, as float32.

    Raises:
        ImageError: some are no numbers, or lie outside of [0, 1].
    """
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ImageError(f"{bad} of its {values.size} values are no numbers (NaN or infinite); fill them first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ImageError(f"floats from {low:.4g} to {high:.4g}; in a file they lie in [0, 1]: scale them first")
    return values.astype(np.float32)
