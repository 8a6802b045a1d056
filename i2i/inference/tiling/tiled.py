"""An image of any size in bounded memory: tiles that are normalised by the statistics of the whole image.

A network with instance norm normalises a tile by the tile's own statistics, which shows as seams and shifts of tone.
Here each norm's statistics are gathered over the whole image first, layer by layer: a norm's own from the tiles
without their surroundings, once those of the norms before it are fixed. Then the tiles are translated with them, each
in a window as wide as the network sees, and the result is that of the whole image to rounding.

A network that is a row of stages is cut into parts, and what passes between them is kept in a temporary file, so that
little is computed twice. One that sees further than a tile, such as the U-Net, has its tiles blended.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from i2i.inference.tiling.global_norm import NormStatistics, Span, StatisticsPending, with_global_norms
from i2i.inference.tiling.receptive_field import Segment, segments_of
from i2i.networks import Generator

Read: TypeAlias = Callable[[slice, slice], Tensor]  # rows, columns -> (N, C, h, w)
Put: TypeAlias = Callable[[Tensor, int, int], None]  # a piece (N, C, h, w) at a top and a left


@torch.no_grad()
def translate_tiles(
    generator: Generator,
    read: Read,
    put: Put,
    size: tuple[int, int],
    *,
    tile: int,
    latent: Tensor | None = None,
    step: Callable[[float], None] | None = None,
) -> None:
    """Translate an image tile by tile.

    Args:
        generator: the network, in evaluation mode.
        read: gives a piece of the padded image, on the network's device.
        put: takes a piece of the result, at its place in the padded image.
        size: height and width of the padded image, multiples of what the network takes.
        tile: height and width of a tile, in pixels, at most; rounded up to what the network takes.
        latent: z (N, latent) of a generator that has one.
        step: told at each tile which share of the tiles of all passes is done with it.

    Raises:
        OSError: the temporary folder is full.
    """
    parts = segments_of(generator)
    # Parts see less far than their network, and a blend of what passes between them would be blended again.
    blends = len(parts) == 1 and (parts[0].output is None or parts[0].output > tile)
    fade = tile // 4 if blends else 0

    def spans(seen: int | None) -> tuple[list[Span], list[Span]]:
        halo = 2 * fade if fade or seen is None else seen
        rows, columns = (_spans(side, tile, halo, generator) for side in size)
        return rows, columns

    statistics = NormStatistics(size)
    stages, given = with_global_norms(generator, statistics).stages(), () if latent is None else (latent,)
    device = next(generator.parameters()).device
    shown, whole = 0, math.prod(map(len, spans(0))) * sum(len(part.norms) + 1 for part in parts)

    def run(part: Segment, read: Read, rows: Span, columns: Span) -> Tensor:
        nonlocal shown
        shown += 1
        if step is not None:
            step(shown / whole)
        statistics.begin(rows, columns)
        x = read(slice(rows.first, rows.last), slice(columns.first, columns.last))
        for stage in stages[part.start : part.stop]:
            x = stage(x, *given)
        return x

    with contextlib.ExitStack() as files:
        for part in parts:
            with files.pop_all():  # what this part reads is needed no longer than this
                statistics.forget()
                for seen in part.norms:
                    for rows, columns in itertools.product(*spans(seen)):
                        with contextlib.suppress(StatisticsPending):
                            run(part, read, rows, columns)
                    statistics.fix()
                kept = None if part is parts[-1] else files.enter_context(_Kept(size, part.scale, device))
                output = partial(run, part, read), kept.put if kept else put, *spans(part.output)
                _blended(*output, fade) if fade else _side_by_side(*output)
                read = kept.read if kept else read


def _spans(length: int, tile: int, halo: int, generator: Generator) -> list[Span]:
    """Tiles of nearly one size along a side; a window goes on for `halo` pixels, but not past the image's edge."""
    multiple = generator.multiple
    smallest = _rounded(generator.smallest, multiple)
    count = -(-length // max(tile, multiple))
    # In equal shares, to a multiple: a narrow last tile would have no room to fade.
    edges = [length // multiple * index // count * multiple for index in range(count + 1)]
    spans = []
    for start, stop in itertools.pairwise(edges):
        first, last = max(start - _rounded(halo, multiple), 0), min(stop + _rounded(halo, multiple), length)
        first = max(min(first, last - smallest), 0)
        spans.append(Span(start, stop, first, min(max(last, first + smallest), length)))
    return spans


def _rounded(number: float, multiple: int) -> int:
    return math.ceil(number / multiple) * multiple


def _side_by_side(run: Callable[[Span, Span], Tensor], put: Put, rows: list[Span], columns: list[Span]) -> None:
    for row, column in itertools.product(rows, columns):
        result = run(row, column)
        scale = result.shape[2] / (row.last - row.first)  # what is kept between parts has fewer rows than the image
        top, left = round(row.start * scale), round(column.start * scale)
        down, across = (slice(*(round((e - s.first) * scale) for e in (s.start, s.stop))) for s in (row, column))
        put(result[:, :, down, across], top, left)


def _blended(run: Callable[[Span, Span], Tensor], put: Put, rows: list[Span], columns: list[Span], fade: int) -> None:
    """Put the tiles over each other, each fading out from `fade` pixels before its edges to as many past them."""
    above: Tensor | None = None  # what a row of tiles shares with the next
    for row in rows:
        top, bottom, down = _faded(row, rows, fade)
        band: Tensor | None = None
        for column in columns:
            left, right, across = _faded(column, columns, fade)
            result = run(row, column)
            piece = result[:, :, top - row.first : bottom - row.first, left - column.first : right - column.first]
            band = piece.new_zeros((*piece.shape[:3], columns[-1].stop)) if band is None else band
            band[..., left:right] += piece * (down[:, None] * across).to(piece)
        assert band is not None
        if above is not None:
            band[:, :, : above.shape[2]] += above
        ready = bottom - top - (0 if row is rows[-1] else 2 * fade)
        put(band[:, :, :ready], top, 0)
        above = band[:, :, ready:]


def _faded(span: Span, spans: list[Span], fade: int) -> tuple[int, int, Tensor]:
    """Where a tile begins and stops with what it shares with its neighbours, and its weights there."""
    before, after = (0 if span is end else fade for end in (spans[0], spans[-1]))
    start, stop = span.start - before, span.stop + after
    weights = torch.ones(stop - start, dtype=torch.float32)
    ramp = (torch.arange(2 * fade, dtype=torch.float32) + 0.5) / (2 * fade)
    if before:
        weights[: 2 * fade] *= ramp
    if after:
        weights[-2 * fade :] *= ramp.flip(0)
    return start, stop, weights


class _Kept:
    """What one part of a network passes to the next, (N, C, h, w), in a temporary file, for it may be large."""

    def __init__(self, size: tuple[int, int], scale: float, device: torch.device) -> None:
        self.width, self.scale, self.device = round(size[1] * scale), scale, device
        self.file = tempfile.TemporaryFile(prefix="i2i-")  # noqa: SIM115
        self.shape = (0, 0)

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def put(self, piece: Tensor, top: int, left: int) -> None:
        """Keep a piece: row by row, each with all the channels of a pixel together."""
        self.shape = (piece.shape[0], piece.shape[1])
        rows = piece.float().cpu().permute(2, 3, 0, 1).contiguous().numpy()
        for number, row in enumerate(rows):
            self.file.seek(self._offset(top + number, left))
            self.file.write(row.tobytes())

    def read(self, rows: slice, columns: slice) -> Tensor:
        """The rows and columns of the image, as they were kept."""
        first, last, left, right = (round(x * self.scale) for x in (rows.start, rows.stop, columns.start, columns.stop))
        read = np.empty((last - first, right - left, *self.shape), np.float32)
        for number, row in enumerate(read):
            self.file.seek(self._offset(first + number, left))
            self.file.readinto(row)
        return torch.from_numpy(read).permute(2, 3, 0, 1).contiguous().to(self.device)

    def _offset(self, row: int, column: int) -> int:
        return 4 * math.prod(self.shape) * (row * self.width + column)
