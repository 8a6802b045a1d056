"""Read each file of a data set once, and note what the findings need to know about each image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.alignment import CorrelationMap, correlate
from i2i.data.check.similarity import thumbnail
from i2i.data.layout import Source
from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, full_scale
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read
from i2i.progress import Progress, logger


@dataclass(frozen=True)
class ImageInfo:
    """What is noted about an image, which is a file or half of one.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: without alpha.
        bits: per value; 32 for floats.
        highest: the highest value, as a share of white.
        grey: there is one channel, or all are equal.
        flat: all pixels are about equal.
        transparent: some pixels are.
        frames: images in the file, of which this is the first.
        digest: hash of the pixels.
        thumbnail: (32, 32, 3) float16 in [0, 255].
    """

    width: int
    height: int
    channels: int
    bits: int
    highest: float
    grey: bool
    flat: bool
    transparent: bool
    frames: int
    digest: bytes
    thumbnail: NDArray[Any]

    @property
    def size(self) -> str:
        """`width x height`."""
        return f"{self.width} x {self.height}"


class Scanned(NamedTuple):
    """An image alone, or the two of a pair with the correlation of their outlines."""

    images: tuple[ImageInfo, ...]
    correlation: CorrelationMap | None


def scan(
    items: Sequence[tuple[Source, ...]], *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[list[Scanned | None], dict[Path, str]]:
    """Read images, or pairs of images, in a few threads.

    Returns:
        For each item what was found, None where a file can't be read; and the reasons, by file.
    """
    failed: dict[Path, str] = {}

    def scan_item(item: tuple[Source, ...]) -> Scanned | None:
        logger.info("reading %s", item[0].path)
        try:
            return _scan(item, max_megapixels)
        except ImageError:
            for path in {source.path for source in item}:
                try:
                    read(path, max_megapixels=max_megapixels)
                except ImageError as error:
                    failed[path] = str(error).removeprefix(f"{path}: ")
            return None

    with ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        scanned = list(Progress(pool.imap(scan_item, items), "reading", len(items), unit="image", leave=False))
    return scanned, failed


def _scan(item: tuple[Source, ...], max_megapixels: float) -> Scanned:
    files = {path: read(path, max_megapixels=max_megapixels) for path in {source.path for source in item}}
    pixels = [source.of(files[source.path].pixels) for source in item]
    images = tuple(_info(part, files[source.path], source) for part, source in zip(pixels, item, strict=True))
    return Scanned(images, correlate(*pixels) if len(pixels) == 2 else None)


def _info(pixels: PixelArray, file: DecodedImage, source: Source) -> ImageInfo:
    height, width, channels = pixels.shape
    small = thumbnail(pixels)
    alpha = None if file.alpha is None else source.of(file.alpha)
    white = full_scale(pixels.dtype)
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(pixels.tobytes())
    return ImageInfo(
        width,
        height,
        channels,
        bits=pixels.dtype.itemsize * 8,
        highest=float(pixels.max()) / white,
        grey=channels == 1 or (channels == 3 and bool(np.ptp(small, axis=-1).max() < 1 and _all_equal(pixels))),
        flat=float(small.std(axis=(0, 1), dtype=np.float32).max()) < 2,
        transparent=alpha is not None and bool((alpha < white).any()),
        frames=file.frames,
        digest=digest.digest(),
        thumbnail=small,
    )


def _all_equal(channels: PixelArray) -> bool:
    return bool((channels == channels[..., :1]).all())
