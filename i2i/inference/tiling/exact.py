"""Run a torch network tile by tile with normalisation statistics of the full image.

A network with instance norm normalises a tile by the tile's own statistics, which shows as seams and shifts of tone.
So the statistics of each norm are gathered over the full image first, in one pass over the tiles per norm, in order:
a norm's input depends on the statistics of those before it. Then the tiles are translated with these statistics, each
in a window as wide as the receptive field, and the result equals that of the full image up to rounding.

A network that consists of stages is cut into segments, whose outputs are kept in a temporary file, so that little is
computed twice. A network whose receptive field is wider than a tile, such as the U-Net, has its tiles blended.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.images.arrays import Array, as_array
from i2i.inference.tiling.blended import blend, fade_width
from i2i.inference.tiling.global_norm import Adjust, NormStatistics, StatisticsPending, with_global_norms
from i2i.inference.tiling.receptive_field import Segment, segments_of
from i2i.inference.tiling.tiler import Grid, Read, Span, Tiler, Write, spans
from i2i.networks import Generator


class ExactTiler(Tiler):
    """Translates an image in tiles as if it were translated as a whole.

    Args:
        generator: the network, in evaluation mode.
        device: where it is.
        adjust: see `NormStatistics`.
    """

    def __init__(self, generator: Generator, device: torch.device, *, adjust: Adjust | None = None) -> None:
        self._generator, self._device, self._adjust = generator, device, adjust

    @torch.no_grad()
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
        statistics = NormStatistics(size, adjust=self._adjust)
        image = _TiledImage(self._generator, self._device, statistics, size, tile=tile, z=z, on_progress=on_progress)
        with contextlib.ExitStack() as files:
            *inner, last = image.segments
            for segment in inner:
                with files.pop_all():  # the input of a segment is needed no longer than its output is computed
                    features = files.enter_context(_FeatureFile(size, segment.scale, self._device))
                    image.run_segment(segment, read, features.write)
                    read = features.read
            image.run_segment(last, read, write)


class _TiledImage:
    """One image that goes through a network segment by segment, in tiles."""

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        statistics: NormStatistics,
        size: tuple[int, int],
        *,
        tile: int,
        z: NDArray[np.float32] | None,
        on_progress: Callable[[float], None] | None,
    ) -> None:
        self.generator, self.device, self.size, self.tile = generator, device, size, tile
        self.segments = segments_of(generator)
        self.fade = fade_width(tile) if self._needs_blend() else 0
        self.statistics = statistics
        self.stages = with_global_norms(generator, self.statistics).stages()
        self.latent = () if z is None else (torch.from_numpy(z).to(device),)
        self.on_progress = on_progress
        passes = sum(len(segment.norm_radii) + 1 for segment in self.segments)
        self.done, self.total = 0, passes * math.prod(map(len, self._grid(0)))

    def run_segment(self, segment: Segment, read: Read, write: Write) -> None:
        """Compute a segment's output for all tiles, once the statistics of its norms are known."""
        self.statistics.reset()
        for radius in segment.norm_radii:
            for rows, columns in itertools.product(*self._grid(radius)):
                with contextlib.suppress(StatisticsPending):
                    self._run_tile(segment, read, rows, columns)
            self.statistics.finalize()
        run = partial(self._run_tile, segment, read)
        rows_of_tiles, columns_of_tiles = self._grid(segment.radius)
        if self.fade:
            blend(run, write, rows_of_tiles, columns_of_tiles, fade=self.fade)
        else:
            _write_side_by_side(run, write, rows_of_tiles, columns_of_tiles)

    def _run_tile(self, segment: Segment, read: Read, rows: Span, columns: Span) -> Tensor:
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done / self.total)
        self.statistics.begin_tile(rows, columns)
        region = slice(rows.window_start, rows.window_stop), slice(columns.window_start, columns.window_stop)
        x = torch.as_tensor(read(*region)).to(self.device)
        for stage in self.stages[segment.start : segment.stop]:
            x = stage(x, *self.latent)
        return x

    def _needs_blend(self) -> bool:
        # A segment sees less far than its network, and a blend of its output would be blended again by the next.
        (radius, *others) = (segment.radius for segment in self.segments)
        return not others and (radius is None or radius > self.tile)

    def _grid(self, radius: int | None) -> Grid:
        overlap = 2 * self.fade if self.fade or radius is None else radius
        multiple, smallest = self.generator.multiple, self.generator.smallest
        rows, columns = (
            spans(side, self.tile, overlap=overlap, multiple=multiple, smallest=smallest) for side in self.size
        )
        return rows, columns


def _write_side_by_side(
    run: Callable[[Span, Span], Tensor], write: Write, rows: list[Span], columns: list[Span]
) -> None:
    for row, column in itertools.product(rows, columns):
        result = run(row, column)
        scale = result.shape[2] / (row.window_stop - row.window_start)  # the output of a segment may be smaller
        down, across = (
            slice(*(round((edge - span.window_start) * scale) for edge in (span.start, span.stop)))
            for span in (row, column)
        )
        write(result[:, :, down, across], round(row.start * scale), round(column.start * scale))


class _FeatureFile:
    """The output of a segment, (N, C, h, w), in a temporary file, because it may be large.

    Args:
        size: height and width of the image.
        scale: rows of the features per row of the image.
        device: where `read` puts them.
    """

    def __init__(self, size: tuple[int, int], scale: float, device: torch.device) -> None:
        self._width, self._scale, self._device = round(size[1] * scale), scale, device
        self._file = tempfile.TemporaryFile(prefix="i2i-")  # noqa: SIM115
        self._shape = (0, 0)  # N and C

    def __enter__(self) -> _FeatureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, piece: Array, top: int, left: int) -> None:
        # Row by row, all channels of a pixel together.
        self._shape = (piece.shape[0], piece.shape[1])
        rows = np.ascontiguousarray(as_array(piece).transpose(2, 3, 0, 1), np.float32)
        for index, row in enumerate(rows):
            self._file.seek(self._offset(top + index, left))
            self._file.write(row.tobytes())

    def read(self, rows: slice, columns: slice) -> Tensor:
        top, bottom, left, right = (
            round(edge * self._scale) for edge in (rows.start, rows.stop, columns.start, columns.stop)
        )
        features = np.empty((bottom - top, right - left, *self._shape), np.float32)
        for index, row in enumerate(features):
            self._file.seek(self._offset(top + index, left))
            self._file.readinto(row)
        return torch.from_numpy(features).permute(2, 3, 0, 1).contiguous().to(self._device)

    def _offset(self, row: int, column: int) -> int:
        return 4 * math.prod(self._shape) * (row * self._width + column)
