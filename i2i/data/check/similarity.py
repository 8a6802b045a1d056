"""Group copies of an image: identical ones, and those that were resized, compressed or brightened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.resizing import resized
from i2i.images.decoded import PixelArray, full_scale

_SIDE = 32
_ALIKE = 0.97  # cosine; different photos reach 0.86, copies at half size or as JPEG of quality 30 lie above 0.98
_FLAT = 20.0  # norm of the differences, in units of 1/255, below which they are noise
_ROWS = 1024


class Groups(NamedTuple):
    """For each image the index of the first that is the same.

    Attributes:
        exact: identical in every pixel, (N,) integers.
        near: nearly identical or identical, (N,) integers.
    """

    exact: NDArray[Any]
    near: NDArray[Any]


def thumbnail(image: PixelArray) -> NDArray[np.float16]:
    """Shrink an image (H, W, C) to (32, 32, 3), in [0, 255]; only the first three channels are kept."""
    small = resized(image, _SIDE)
    three = small[..., :3] if small.shape[-1] >= 3 else small[..., [0, 0, 0]]
    return np.asarray(three * np.float32(255 / full_scale(image.dtype)), np.float16)


def group_copies(digests: Sequence[bytes], thumbnails: NDArray[Any]) -> Groups:
    """Group images by digests of their pixels, and by their thumbnails (N, 32, 32, 3).

    Two images are nearly identical where the differences of neighbouring pixels correlate: at 16 x 16 pixels in grey,
    as for a difference hash but with magnitudes, then in colour, and at 32 x 32 in grey. The differences in flat
    images are noise; those are copies only where they are identical.
    """
    if not digests:
        return Groups(np.empty(0, np.int64), np.empty(0, np.int64))
    first: dict[bytes, int] = {}
    exact = np.array([first.setdefault(digest, index) for index, digest in enumerate(digests)], dtype=np.int64)
    unique = np.flatnonzero(exact == np.arange(len(exact)))
    halved = thumbnails.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    grey = thumbnails.mean(axis=3, dtype=np.float32)
    coarse = np.array([_differences(halved[index].mean(axis=2)) for index in unique])
    near = np.arange(len(exact))
    for start in range(0, len(unique), _ROWS):
        rows = coarse[start : start + _ROWS]
        scores = np.tril(rows @ coarse[: start + len(rows)].T, start - 1)  # each with those before it
        best = scores.argmax(axis=1)
        for row in np.flatnonzero(scores[np.arange(len(rows)), best] >= _ALIKE):
            copy, original = unique[start + row], unique[best[row]]
            if all(_differences(kind[copy]) @ _differences(kind[original]) >= _ALIKE for kind in (halved, grey)):
                near[copy] = near[original]
    return Groups(exact, near[exact])


def _differences(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differences of neighbouring pixels of (H, W, ...), as a vector of length 1, or 0 where the image is flat."""
    differences = np.concatenate([np.diff(image, axis=0).ravel(), np.diff(image, axis=1).ravel()])
    length = float(np.linalg.norm(differences))
    return np.asarray(differences / length if length > _FLAT else differences * 0, np.float32)
