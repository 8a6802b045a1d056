"""How far a network sees, and where it can be cut into parts that see less far."""

from __future__ import annotations

import copy
import itertools
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from i2i.inference.memory import blank_input
from i2i.inference.tiling.global_norm import NormStatistics, with_global_norms
from i2i.networks.base import Generator
from i2i.networks.layers import Dropout

_SHORTEST = 512  # in pixels; a dilated convolution steps over the ends of what is shorter than it
_LONGEST = 4096  # in pixels; a network that sees further is taken to see the whole image


class Segment(NamedTuple):
    """Consecutive stages of a network.

    Attributes:
        start: the first of them, by its place in `Generator.stages`.
        stop: the first of the next part.
        norms: how far each norm in it sees in what the part takes, in pixels of the image, in the order of calls;
            None: further than can be told.
        output: how far its output sees.
        channels: of its output.
        scale: rows of its output for a row of the image.
    """

    start: int
    stop: int
    norms: tuple[int | None, ...]
    output: int | None
    channels: int
    scale: float


def segments_of(generator: Generator) -> tuple[Segment, ...]:
    """Cut a network that has norms where what it passes on is smallest, after each stage that holds a convolution.

    How far a part sees is found by trying: it is shown what is no number in one place, and where its results are no
    numbers it saw that place. Found once for each network.
    """
    if generator not in _known:
        length = max(16 * generator.multiple, _SHORTEST)
        found = _tried(generator, length)
        while length < _LONGEST and any(part.output is None for part in found):
            length *= 2
            found = _tried(generator, length)
        _known[generator] = found
    return _known[generator]


_known: weakref.WeakKeyDictionary[Generator, tuple[Segment, ...]] = weakref.WeakKeyDictionary()


class _Probe(NormStatistics):
    """Notes how far each norm sees; the statistics that it gives change nothing."""

    def __init__(self, length: int, block: int) -> None:
        super().__init__((length, length))
        self.length, self.block = length, block
        self.seen: list[int | None] = []

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(self.extent(x))
        return x.new_zeros(x.shape[:2]), x.new_ones(x.shape[:2])

    def kept(self, layer: Dropout, x: Tensor) -> Tensor:  # noqa: ARG002
        return torch.ones(x.shape[1:], dtype=torch.bool)

    def marked(self, x: Tensor) -> Tensor:
        """A strip like this one, zero but for a block in the middle that is no number."""
        first, last = (round(edge * x.shape[2] / self.length) for edge in (self._middle, self._middle + self.block))
        strip = torch.zeros_like(x)
        strip[:, :, first:last] = torch.nan
        return strip

    def extent(self, x: Tensor) -> int | None:
        """How far what is no number goes beyond the block, in pixels, or None where it fills the strip."""
        rows = x.isnan().any(3).any(1)[0].nonzero()
        if not len(rows):
            return 0
        scale = self.length / x.shape[2]
        first, last = int(rows.min()) * scale, (int(rows.max()) + 1) * scale
        if first <= 0 or last >= self.length:
            return None
        return max(0, round(max(self._middle - first, last - self._middle - self.block)))

    @property
    def _middle(self) -> int:
        return self.length // 2 // self.block * self.block


@torch.no_grad()
def _tried(generator: Generator, length: int) -> tuple[Segment, ...]:
    multiple = generator.multiple
    length, width = (-(-side // multiple) * multiple for side in (max(length, 2 * generator.smallest), 16))
    probe = _Probe(length, multiple)
    # On the CPU: a GPU's algorithms may spread what is no number further than the network itself does.
    stages = with_global_norms(copy.deepcopy(generator).cpu(), probe).stages()
    strip, *given = blank_input(generator, length, max(width, generator.smallest))

    passed = [strip]
    for stage in stages:
        passed.append(stage(passed[-1], *given))
    edges = [0, *(_cuts(stages, [x.shape[2] for x in passed[1:]]) if probe.seen else []), len(stages)]
    parts = []
    for start, stop in itertools.pairwise(edges):
        probe.seen = []
        x = probe.marked(passed[start])
        for stage in stages[start:stop]:
            x = stage(x, *given)
        parts.append(Segment(start, stop, tuple(probe.seen), probe.extent(x), x.shape[1], x.shape[2] / length))
    return tuple(parts)


def _cuts(stages: Sequence[nn.Module], rows: Sequence[int]) -> list[int]:
    """The stages before which a part begins: what comes before them has the fewest rows, and took work to compute."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    costly = [any(isinstance(module, kinds) for module in stage.modules()) for stage in stages]
    return [index + 1 for index in range(len(stages) - 1) if rows[index] == min(rows) and costly[index]]
