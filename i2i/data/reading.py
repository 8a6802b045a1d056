"""The pixels of an image that is a file, or half of one."""

from __future__ import annotations

import functools
from pathlib import Path

from i2i.data.layout import Source
from i2i.errors import ImageError, setting
from i2i.images.arrays import match_channels
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read


def read_source(source: Source, *, channels: int, max_megapixels: float = MAX_MEGAPIXELS) -> PixelArray:
    """Read the pixels (H, W, channels) of a file, or of the half that a source names, at the file's depth.

    Raises:
        ImageError: the file can't be read, or doesn't have these channels.
    """
    image = _decoded(source.path, max_megapixels)
    try:
        pixels = match_channels(image, channels)
    except ImageError as error:
        raise ImageError(f"{source.path}: {error}, as {setting('channels')} says") from None
    return source.of(pixels)


# Both halves of a file are read one after the other.
@functools.lru_cache(maxsize=2)
def _decoded(path: Path, max_megapixels: float) -> DecodedImage:
    return read(path, max_megapixels=max_megapixels)
