"""The interface of tilers, and the grid of tiles that they work on."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.images.arrays import Array
from i2i.images.padding import round_up

Read: TypeAlias = Callable[[slice, slice], Array]  # rows, columns -> (N, C, h, w)
Write: TypeAlias = Callable[[Array, int, int], None]  # a piece (N, C, h, w), its top and its left
Grid: TypeAlias = "tuple[list[Span], list[Span]]"  # tiles down and across


class Tiler(ABC):
    """Translates an image tile by tile, so that memory is bounded."""

    @abstractmethod
    def translate(
        self,
        read: Read,
        write: Write,
        size: tuple[int, int],
        *,
        tile: int,
        z: NDArray[np.float32] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Translate an image.

        Args:
            read: gives a region of the padded image.
            write: takes a region of the result; each pixel is written once.
            size: height and width of the padded image, multiples of what the network takes.
            tile: largest height and width of a tile, in pixels; rounded up to what the network takes.
            z: the latent (N, latent) of a network that takes one.
            on_progress: called for each tile with the fraction of the work that is done after it.

        Raises:
            OSError: a temporary file can't be written.
        """


class Span(NamedTuple):
    """A tile along one axis, from `start` to `stop`, and the window around it that the network sees."""

    start: int
    stop: int
    window_start: int
    window_stop: int


def spans(length: int, tile: int, *, overlap: int, multiple: int, smallest: int) -> list[Span]:
    """Split an axis into tiles of nearly equal size; windows reach `overlap` pixels further, but not past the image.

    Args:
        length: pixels of the axis, a multiple of `multiple`.
        tile: largest size of a tile; at least `multiple`.
        overlap: pixels by which a window is wider than its tile at either end, rounded up to `multiple`.
        multiple: tiles and windows are multiples of this.
        smallest: windows are at least this wide.
    """
    smallest, overlap = round_up(smallest, multiple), round_up(overlap, multiple)
    count = -(-length // max(tile, multiple))
    # Equal shares, because a narrow last tile would have no room for a blend.
    edges = [length // multiple * index // count * multiple for index in range(count + 1)]
    result = []
    for start, stop in itertools.pairwise(edges):
        first, last = max(start - overlap, 0), min(stop + overlap, length)
        first = max(min(first, last - smallest), 0)
        result.append(Span(start, stop, first, min(max(last, first + smallest), length)))
    return result
