"""Images mirrored outwards to the sizes that a network takes, and cut back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Frame(NamedTuple):
    """Where an image lies in the padded one."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, x: Tensor) -> Tensor:
        """Cut the image out of (..., H, W)."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


def padded(height: int, width: int, *, multiple: int, smallest: int = 1) -> tuple[Tensor, Tensor, Frame]:
    """Mirror an image outwards, however far, until both sides are multiples of a number and large enough.

    Returns:
        Which rows and which columns of the image stand in the padded one, and where it lies there.
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
