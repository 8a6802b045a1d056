"""Measure the receptive field of a network, and cut the network into segments with smaller ones.

NaN is injected into a block of rows; the outputs that become NaN lie within the receptive field.
"""

from __future__ import annotations

import copy
import itertools
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from i2i.inference.footprint import blank_input
from i2i.inference.tiling.global_norm import NormStatistics, with_global_norms
from i2i.networks.base import Generator
from i2i.networks.layers import Dropout

_SHORTEST = 512  # pixels of the probe; a dilated convolution steps over the ends of a shorter one
_LONGEST = 4096  # pixels; a network with a wider receptive field is taken to see the full image


class Segment(NamedTuple):
    """Consecutive stages of a network.

    A radius is that of a receptive field: how many pixels of the image beyond a tile are seen by what is computed for
    the tile. It is None where the field is wider than can be measured, as where the full image is averaged.

    Attributes:
        start: index of the first stage in `Generator.stages`.
        stop: index after the last stage.
        norm_radii: the radius of each norm's input, from the segment's input on, in the order of calls.
        radius: the radius of the segment's output, from its input on.
        channels: of its output.
        scale: rows of its output per row of the image.
    """

    start: int
    stop: int
    norm_radii: tuple[int | None, ...]
    radius: int | None
    channels: int
    scale: float


def segments_of(generator: Generator) -> tuple[Segment, ...]:
    """Cut a network that has norms where its features are smallest, after each stage that holds a convolution.

    Measured once for each network.
    """
    if generator not in _segments:
        length = max(16 * generator.multiple, _SHORTEST)
        segments = _measure(generator, length)
        while length < _LONGEST and any(segment.radius is None for segment in segments):
            length *= 2
            segments = _measure(generator, length)
        _segments[generator] = segments
    return _segments[generator]


_segments: weakref.WeakKeyDictionary[Generator, tuple[Segment, ...]] = weakref.WeakKeyDictionary()


@torch.no_grad()
def _measure(generator: Generator, length: int) -> tuple[Segment, ...]:
    multiple = generator.multiple
    length, width = (-(-side // multiple) * multiple for side in (max(length, 2 * generator.smallest), 16))
    probe = _NaNProbe(length, multiple)
    # On the CPU: a GPU's algorithms may spread NaN further than the network itself does.
    stages = with_global_norms(copy.deepcopy(generator).cpu(), probe).stages()
    strip, *latent = blank_input(generator, length, max(width, generator.smallest))

    features = [strip]
    for stage in stages:
        features.append(stage(features[-1], *latent))
    cuts = _cuts(stages, [x.shape[2] for x in features[1:]]) if probe.norm_radii else []
    segments = []
    for start, stop in itertools.pairwise([0, *cuts, len(stages)]):
        probe.norm_radii = []
        x = probe.inject(features[start])
        for stage in stages[start:stop]:
            x = stage(x, *latent)
        scale = x.shape[2] / length
        segments.append(Segment(start, stop, tuple(probe.norm_radii), probe.radius(x), x.shape[1], scale))
    return tuple(segments)


def _cuts(stages: Sequence[nn.Module], rows: Sequence[int]) -> list[int]:
    """The stages that begin a segment: the features before them have the fewest rows, and took work to compute."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    costly = [any(isinstance(module, kinds) for module in stage.modules()) for stage in stages]
    return [index + 1 for index in range(len(stages) - 1) if rows[index] == min(rows) and costly[index]]


class _NaNProbe(NormStatistics):
    """Injects NaN and measures how far it spreads; the statistics that it gives to norms change nothing.

    Args:
        length: rows of the image.
        block: rows that are NaN.
    """

    def __init__(self, length: int, block: int) -> None:
        super().__init__((length, length))
        self._length, self._block = length, block
        self._top = length // 2 // block * block
        self.norm_radii: list[int | None] = []

    def inject(self, x: Tensor) -> Tensor:
        """Features of the same shape, zero but for a block of NaN in the middle."""
        first, last = (round(edge * x.shape[2] / self._length) for edge in (self._top, self._top + self._block))
        strip = torch.zeros_like(x)
        strip[:, :, first:last] = torch.nan
        return strip

    def radius(self, x: Tensor) -> int | None:
        """How far NaN has spread beyond the block, in pixels; None where it fills the features."""
        rows = x.isnan().any(3).any(1)[0].nonzero()
        if not len(rows):
            return 0
        scale = self._length / x.shape[2]
        first, last = int(rows.min()) * scale, (int(rows.max()) + 1) * scale
        if first <= 0 or last >= self._length:
            return None
        return max(0, round(max(self._top - first, last - self._top - self._block)))

    def get(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.norm_radii.append(self.radius(x))
        return x.new_zeros(x.shape[:2]), x.new_ones(x.shape[:2])

    def dropout_mask(self, layer: Dropout, x: Tensor) -> Tensor:  # noqa: ARG002
        return torch.ones(x.shape[1:], dtype=torch.bool)
