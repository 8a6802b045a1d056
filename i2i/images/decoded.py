"""A decoded image: its pixels, alpha, and metadata (colour profile, EXIF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.errors import ImageError

PixelArray: TypeAlias = NDArray[Any]
Tag: TypeAlias = tuple[int, int, int, Any]  # of a TIFF file: code, type, count, value

TRUNCATED = "truncated: the file ends before its image does"


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, as files hold it.

    Attributes:
        pixels: uint8, uint16, or float32 in [0, 1], (H, W, C); C is 1 (grey), 3 (RGB), or any other number.
        alpha: opacity, (H, W), of the same depth, or None.
        icc: colour profile, or None.
        exif: EXIF without the orientation, which is applied, or None.
        dpi: pixels per inch across and down, or None.
        geo: georeference, as tags of a GeoTIFF.
        frames: images in the file, of which this is the first.
    """

    pixels: PixelArray
    alpha: PixelArray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: tuple[Tag, ...] = ()
    frames: int = 1


def all_channels(image: DecodedImage) -> PixelArray:
    """Return pixels and alpha together, (H, W, C) or (H, W, C + 1)."""
    if image.alpha is None:
        return image.pixels
    return np.concatenate([image.pixels, image.alpha[..., None]], axis=-1)


def full_scale(depth: np.dtype[Any]) -> float:
    """The value of white: 255, 65535, or 1 for floats."""
    return float(np.iinfo(depth).max) if np.issubdtype(depth, np.integer) else 1.0


def as_depth(pixels: PixelArray, depth: np.dtype[Any]) -> PixelArray:
    """Convert pixels to another depth, rounded to nearest."""
    if pixels.dtype == depth:
        return pixels
    scaled = pixels * (full_scale(depth) / full_scale(pixels.dtype))
    return (np.round(scaled) if np.issubdtype(depth, np.integer) else scaled).astype(depth)


def as_eight_bit(pixels: PixelArray) -> PixelArray:
    """Convert pixels to uint8, rounded to nearest."""
    return as_depth(pixels, np.dtype(np.uint8))


def check_floats(values: NDArray[Any]) -> PixelArray:
    """Return floats of a file as float32.

    Raises:
        ImageError: some are NaN or infinite, or lie outside of [0, 1].
    """
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ImageError(f"{bad} of its {values.size} values are NaN or infinite; fill them first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ImageError(f"floats from {low:.4g} to {high:.4g}; in a file they lie in [0, 1]: scale them first")
    return values.astype(np.float32)


def as_pixels(values: NDArray[Any]) -> NDArray[Any]:
    """Convert integers other than uint8 and uint16 to uint16, unscaled; return those two and floats as they are.

    Raises:
        ImageError: some are below 0 or above 65535.
    """
    if values.dtype.kind not in "ui" or values.dtype in (np.uint8, np.uint16):
        return values
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0:
        raise ImageError(f"values down to {low}; give uint8 or uint16 pixels, or floats in [0, 1]")
    if high > 65535:
        raise ImageError(
            f"{8 * values.dtype.itemsize}-bit integers up to {high}, of which 65535 is the highest that can be read; "
            "scale them to 16 bit, or to floats in [0, 1]"
        )
    return values.astype(np.uint16)


def file_pixels(values: NDArray[Any]) -> PixelArray:
    """Convert the values of a file to pixels: uint8 or uint16 in the native byte order, or float32 in [0, 1].

    Raises:
        ImageError: they are of another type or range.
    """
    check_file_type(values.dtype)
    if values.dtype.kind == "f":
        return check_floats(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def check_file_type(dtype: np.dtype[Any]) -> None:
    """Raise ImageError unless an image may be of this type."""
    if dtype.kind != "f" and dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ImageError(f"values of {dtype}; give uint8 or uint16 pixels, or floats in [0, 1]")
