"""Tiles that overlap and are blended: for any backend.

Where a network normalises by the statistics of its input, or has a receptive field wider than a tile, the result is
close to that of the full image, not equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.images.arrays import Array, as_array
from i2i.inference.tiling.tiler import Read, Span, Tiler, Write, spans

Run: TypeAlias = Callable[[Array, NDArray[np.float32] | None], Array]


class BlendedTiler(Tiler):
    """Translates each tile with half a tile of its surroundings, and blends neighbours.

    Args:
        run: translates a window (N, C, h, w), given the latent.
        multiple: window sizes are multiples of this.
        smallest: and at least this.
    """

    def __init__(self, run: Run, *, multiple: int, smallest: int) -> None:
        self._run, self._multiple, self._smallest = run, multiple, smallest

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
        """Translate an image; see `Tiler.translate`."""
        fade = fade_width(tile)
        rows, columns = (
            spans(side, tile, overlap=2 * fade, multiple=self._multiple, smallest=self._smallest) for side in size
        )
        done = itertools.count(1)

        def run(row: Span, column: Span) -> Array:
            x = read(slice(row.window_start, row.window_stop), slice(column.window_start, column.window_stop))
            result = self._run(x, z)
            if on_progress:
                on_progress(next(done) / (len(rows) * len(columns)))
            return result

        blend(run, write, rows, columns, fade=fade)


def fade_width(tile: int) -> int:
    """Pixels on either side of a tile's edge over which neighbours are blended."""
    return tile // 4


def blend(
    run: Callable[[Span, Span], Array], write: Write, rows: Sequence[Span], columns: Sequence[Span], *, fade: int
) -> None:
    """Write overlapping tiles, each of which fades out from `fade` pixels before its edges to `fade` pixels past them.

    Args:
        run: gives the result of a tile's window, (N, C, h, w).
        write: takes bands of the result as wide as the image.
        rows: the tiles from top to bottom; windows are wider than tiles by `fade` or more.
        columns: the tiles from left to right.
        fade: half the width of a blend, in pixels; 0 for none.
    """
    shared: NDArray[Any] | None = None  # the rows that a row of tiles has in common with the next
    for row in rows:
        top, bottom, row_weights = _weights(row, rows, fade)
        band: NDArray[Any] | None = None
        for column in columns:
            left, right, column_weights = _weights(column, columns, fade)
            result = as_array(run(row, column))
            down = slice(top - row.window_start, bottom - row.window_start)
            piece = result[:, :, down, left - column.window_start : right - column.window_start]
            band = np.zeros((*piece.shape[:3], columns[-1].stop), piece.dtype) if band is None else band
            band[..., left:right] += piece * (row_weights[:, None] * column_weights)
        assert band is not None
        if shared is not None:
            band[:, :, : shared.shape[2]] += shared
        ready = bottom - top - (0 if row is rows[-1] else 2 * fade)
        write(band[:, :, :ready], top, 0)
        shared = band[:, :, ready:]


def _weights(span: Span, axis: Sequence[Span], fade: int) -> tuple[int, int, NDArray[np.float32]]:
    """Where a tile begins and stops with the pixels that it shares with its neighbours, and its weights there."""
    before, after = (0 if span is end else fade for end in (axis[0], axis[-1]))
    start, stop = span.start - before, span.stop + after
    weights = np.ones(stop - start, np.float32)
    ramp = (np.arange(2 * fade, dtype=np.float32) + 0.5) / (2 * fade)
    if before:
        weights[: 2 * fade] *= ramp
    if after:
        weights[-2 * fade :] *= ramp[::-1]
    return start, stop, weights
