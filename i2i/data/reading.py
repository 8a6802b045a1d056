"""The pixels of an image that is a file, or half of one; in a folder, a shard or a dataset."""

from __future__ import annotations

import functools
from pathlib import Path

from i2i.data.layout import Source, StoredImage
from i2i.errors import ImageError, setting
from i2i.images.arrays import match_channels
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read


def read_source(source: Source, *, channels: int, max_megapixels: float = MAX_MEGAPIXELS) -> PixelArray:
    """Read the pixels (H, W, channels) of a file, or of the half that a source names, at the file's depth.

    Raises:
        ImageError: the file can't be read, doesn't have these channels, or should hold two halves and can't.
    """
    image = _decoded(source.file, max_megapixels)
    height, width = image.pixels.shape[:2]
    if source.half != "whole" and (width <= height or width % 2):  # of a folder's files it is known before
        raise ImageError(f"{source.file} is {width} x {height} pixels: not two images side by side")
    try:
        pixels = match_channels(image, channels)
    except ImageError as error:
        raise ImageError(f"{source.file}: {error}, as {setting('channels')} says") from None
    return source.of(pixels)


# Both halves of a file are read one after the other.
@functools.lru_cache(maxsize=2)
def _decoded(file: Path | StoredImage, max_megapixels: float) -> DecodedImage:
    return (
        read(file, max_megapixels=max_megapixels)
        if isinstance(file, Path)
        else file.read(max_megapixels=max_megapixels)
    )
