"""Reflect padding to the sizes that a network takes."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]


class Frame(NamedTuple):
    """The position of an image in the padded one, in pixels."""

    top: int
    left: int
    height: int
    width: int


def padded(height: int, width: int, *, multiple: int, smallest: int = 1) -> tuple[Indices, Indices, Frame]:
    """Reflect-pad an image, by more than its own size if needed, to multiples of `multiple` of at least `smallest`.

    Returns:
        The indices of the image's rows and columns that make the padded image, and its position there.
    """
    rows, top = _mirrored(height, multiple, smallest)
    columns, left = _mirrored(width, multiple, smallest)
    return rows, columns, Frame(top, left, height, width)


def _mirrored(size: int, multiple: int, smallest: int) -> tuple[Indices, int]:
    needed = round_up(max(size, smallest), multiple)
    before = (needed - size) // 2
    period = max(2 * (size - 1), 1)
    index = (np.arange(needed) - before) % period
    return np.where(index < size, index, period - index), before


def round_up(number: float, multiple: int) -> int:
    """The next multiple that isn't less."""
    return math.ceil(number / multiple) * multiple
