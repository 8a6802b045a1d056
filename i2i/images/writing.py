"""Writing of image files."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from i2i.errors import ImageError, UsageError
from i2i.files import write_whole
from i2i.images.decoded import DecodedImage, as_depth
from i2i.images.formats import ImageFormat, Metadata, suffixes_in_words, writable_formats, writable_suffixes

JPEG_QUALITY = 95


def write(image: DecodedImage, path: Path, *, quality: int = JPEG_QUALITY) -> None:
    """Write an image as its suffix says, whole or not at all; see `encode`.

    Raises:
        UsageError: the suffix isn't that of a format that can be written.
        ImageError: the format can't hold such an image.
        OSError: it can't be written there.
    """
    write_whole(path, encode(image, path.suffix, quality=quality))


def encode(image: DecodedImage, suffix: str, *, quality: int = JPEG_QUALITY) -> bytes:
    """Return the bytes of an image in the format that a suffix such as `.png` names, lossless except for JPEG.

    PNG, TIFF and .npy hold 8 and 16 bit, TIFF and .npy floats and any number of channels too; depth that a format
    lacks is rounded to the deepest that it has. JPEG, in full colour resolution, and BMP have no alpha.

    Args:
        image: what to write.
        suffix: the format.
        quality: of JPEG, 1 to 100.

    Raises:
        UsageError: the suffix isn't that of a format that can be written.
        ImageError: the format can't hold so many channels or pixels.
    """
    suffix = suffix.lower()
    image_format = writable_suffixes().get(suffix)
    if image_format is None or image_format.encode is None:
        raise UsageError(
            f"can't write images as {suffix or 'a file without a suffix'!r}; use one of {suffixes_in_words()}"
        )
    fitted = _fitted(image, image_format, suffix)
    try:
        return image_format.encode(fitted, quality=quality)
    except (ValueError, OSError, SystemError, struct.error) as error:  # such as more pixels than a WebP can have
        height, width = image.pixels.shape[:2]
        raise ImageError(f"{width} x {height} pixels can't be written as {suffix}: {error}; use .png") from None


def _fitted(image: DecodedImage, image_format: ImageFormat, suffix: str) -> DecodedImage:
    """The image with only what the format holds."""
    dropped: dict[str, Any] = {name: () if name == "geo" else None for name in get_args(Metadata)}
    fitted = replace(image, **{name: none for name, none in dropped.items() if name not in image_format.metadata})
    if not image_format.alpha:
        fitted = replace(fitted, alpha=None)
    channels = fitted.pixels.shape[-1] + (fitted.alpha is not None)
    if image_format.channels is not None and channels not in image_format.channels:
        others = " or ".join(other.suffixes[0] for other in writable_formats() if other.channels is None)
        raise ImageError(f"{channels} channels can't be written as {suffix}; use {others}")
    if fitted.pixels.dtype in image_format.depths:
        return fitted
    depth = np.dtype(image_format.depths[-1])
    alpha = None if fitted.alpha is None else as_depth(fitted.alpha, depth)
    return replace(fitted, pixels=as_depth(fitted.pixels, depth), alpha=alpha)
