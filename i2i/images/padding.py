"""Reflect padding to the sizes that a network takes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Frame(NamedTuple):
    """The position of an image in the padded one, in pixels."""

    top: int
    left: int
    height: int
    width: int


def padded(height: int, width: int, *, multiple: int, smallest: int = 1) -> tuple[Tensor, Tensor, Frame]:
    """Reflect-pad an image, by more than its own size if needed, to multiples of `multiple` of at least `smallest`.

    Returns:
        The indices of the image's rows and columns that make the padded image, and its position there.
    """
    rows, top = _mirrored(height, multiple, smallest)
    columns, left = _mirrored(width, multiple, smallest)
    return rows, columns, Frame(top, left, height, width)


def _mirrored(size: int, multiple: int, smallest: int) -> tuple[Tensor, int]:
    needed = -(-max(size, smallest) // multiple) * multiple
    before = (needed - size) // 2
    period = max(2 * (size - 1), 1)
    index = (torch.arange(needed) - before) % period
    return torch.where(index < size, index, period - index), before
