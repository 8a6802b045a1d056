"""What there is to know of every image of a set, found by reading each file once."""

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
from i2i.data.folders import Source
from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, full_scale
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read
from i2i.progress import Progress, logger


@dataclass(frozen=True)
class ImageInfo:
    """What was seen of an image, which is a file or the half of one.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: without alpha.
        bits: of a level; 32 for floats.
        highest: the highest level, as a share of white.
        grey: there is one channel, or all are equal.
        flat: all pixels are about equal.
        transparent: some of it is.
        frames: images in the file, of which this is the first.
        digest: of the pixels.
        thumbnail: (32, 32, 3) float16, in levels of 255.
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


class PairInfo(NamedTuple):
    """The looks of one image or of a pair, and of a pair how well it agrees at each shift."""

    looks: tuple[ImageInfo, ...]
    surface: CorrelationMap | None


def scan(
    items: Sequence[tuple[Source, ...]], *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[list[PairInfo | None], dict[Path, str]]:
    """Read images, or pairs of them, in a few threads.

    Returns:
        A sight of each, None where a file can't be read; and why those files can't.
    """
    failed: dict[Path, str] = {}

    def see(item: tuple[Source, ...]) -> PairInfo | None:
        logger.info("reading %s", item[0].path)
        try:
            return _see(item, max_megapixels)
        except ImageError:
            for path in {source.path for source in item}:
                try:
                    read(path, max_megapixels=max_megapixels)
                except ImageError as error:
                    failed[path] = str(error).removeprefix(f"{path}: ")
            return None

    with ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        seen = list(Progress(pool.imap(see, items), "reading", len(items), unit="image", leave=False))
    return seen, failed


def _see(item: tuple[Source, ...], max_megapixels: float) -> PairInfo:
    images = {path: read(path, max_megapixels=max_megapixels) for path in {source.path for source in item}}
    pixels = [source.of(images[source.path].pixels) for source in item]
    looks = tuple(_look(part, images[source.path], source) for part, source in zip(pixels, item, strict=True))
    return PairInfo(looks, correlate(*pixels) if len(pixels) == 2 else None)


def _look(pixels: PixelArray, image: DecodedImage, source: Source) -> ImageInfo:
    height, width, channels = pixels.shape
    small = thumbnail(pixels)
    alpha = image.alpha if image.alpha is None else source.of(image.alpha)
    white = full_scale(pixels.dtype)
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(pixels.tobytes())
    return ImageInfo(
        width,
        height,
        channels,
        bits=pixels.dtype.itemsize * 8,
        highest=float(pixels.max()) / white,
        grey=channels == 1 or (channels == 3 and bool(np.ptp(small, axis=-1).max() < 1 and _equal(pixels))),
        flat=float(small.std(axis=(0, 1), dtype=np.float32).max()) < 2,
        transparent=alpha is not None and bool((alpha < white).any()),
        frames=image.frames,
        digest=digest.digest(),
        thumbnail=small,
    )


def _equal(channels: PixelArray) -> bool:
    return bool((channels == channels[..., :1]).all())
