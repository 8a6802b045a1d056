"""A network whose norms are held to the statistics of a whole image while it is shown the image piece by piece."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.networks.layers import BatchNorm, Dropout
from i2i.networks.virtual_batch_norm import Reference, VirtualBatchNorm

M = TypeVar("M", bound=nn.Module)


class Span(NamedTuple):
    """A tile along one side of an image, `start` to `stop`, in the window `first` to `last` shown to the network."""

    start: int
    stop: int
    first: int
    last: int


class StatisticsPending(Exception):
    """A pass has reached the norm whose statistics it gathers; what follows is not needed."""


class NormStatistics:
    """The norms' statistics over a whole image, gathered from its tiles, one norm after the other as they are called.

    Args:
        size: height and width of the image, in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._kept: dict[tuple[nn.Module, tuple[int, ...]], Tensor] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew, for other norms."""
        self._fixed: list[tuple[Tensor, Tensor]] = []
        self._start()

    def begin(self, rows: Span, columns: Span) -> None:
        """The network is shown a window."""
        self._tile, self._called = (rows, columns), 0

    def fix(self) -> None:
        """All tiles were shown as far as the next norm."""
        self._fixed.append((self._mean.float(), (self._squares / self._count).float()))
        self._start()

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, (N, C) each, for a norm's input (N, C, h, w).

        Raises:
            Gathered: they weren't fixed, and the tile has been added to them.
        """
        if self._called == len(self._fixed):
            self._add(x)
            raise StatisticsPending
        self._called += 1
        mean, variance = self._fixed[self._called - 1]
        return mean.to(x.device), variance.to(x.device)

    def kept(self, layer: Dropout, x: Tensor) -> Tensor:
        """What dropout keeps of its input (N, C, h, w), at the places where the whole image keeps it: (C, h, w)."""
        rows, columns = (scaled(span.first) for span, scaled in self._scaled(x))
        sides = [scaled(side) for side, (_, scaled) in zip(self.size, self._scaled(x), strict=True)]
        index = layer, (x.shape[1], *sides)
        if index not in self._kept:
            self._kept[index] = layer.kept(index[1]).to(x.device)
        return self._kept[index][:, rows : rows + x.shape[2], columns : columns + x.shape[3]]

    def _start(self) -> None:
        self._count, self._mean, self._squares = 0, torch.zeros((), dtype=torch.double), torch.zeros(())

    def _add(self, x: Tensor) -> None:
        """Join the tile itself, without its surroundings, to those before (Chan et al. 1979)."""
        rows, columns = (
            slice(scaled(span.start - span.first), scaled(span.stop - span.first)) for span, scaled in self._scaled(x)
        )
        own = x[:, :, rows, columns]
        variance, mean = (moment.cpu().double() for moment in torch.var_mean(own, dim=(2, 3), correction=0))
        count = own.shape[2] * own.shape[3]
        both, delta = self._count + count, mean - self._mean
        self._squares = self._squares + count * variance + delta.square() * (self._count * count / both)
        self._mean, self._count = self._mean + delta * (count / both), both

    def _scaled(self, x: Tensor) -> Iterator[tuple[Span, Callable[[int], int]]]:
        """Each side's span, and what turns pixels of the image into places of a layer's input."""
        for span, length in zip(self._tile, x.shape[2:], strict=True):
            yield span, lambda pixels, scale=length / (span.last - span.first): round(pixels * scale)  # type: ignore[misc]


def with_global_norms(network: M, statistics: NormStatistics) -> M:
    """A network of the same weights whose norms ask for their statistics; the one given may be in use elsewhere.

    Instance norm, batch norm and virtual batch norm are held where they normalise an image by itself. Dropout that
    goes on at inference drops what it drops in the whole image.
    """
    weights = itertools.chain(network.parameters(), network.buffers())
    held = copy.deepcopy(network, {id(tensor): tensor for tensor in weights})
    _see_reference(held)
    for path, module in list(held.named_modules(remove_duplicate=False)):  # a norm may stand in several places
        parent, _, name = path.rpartition(".")
        if _normalises_by_itself(module):
            setattr(held.get_submodule(parent), name, _GlobalNorm(module, statistics))
        elif isinstance(module, Dropout) and module.at_inference:
            setattr(held.get_submodule(parent), name, _GlobalDropout(module, statistics))
    return held


def _see_reference(network: nn.Module) -> None:
    """Make virtual batch norm ready now: its reference can't go through norms that are held."""
    reference = getattr(network, "reference", None)
    if isinstance(reference, Reference):
        if len(reference.batch) and not reference.seen:
            network(reference.batch[:1])
        reference.seen = True


def _normalises_by_itself(module: nn.Module) -> bool:
    if isinstance(module, nn.InstanceNorm2d):
        return not module.track_running_stats
    return isinstance(module, VirtualBatchNorm) or (isinstance(module, BatchNorm) and module.at_inference == "sample")


class _GlobalNorm(nn.Module):
    def __init__(self, norm: nn.Module, statistics: NormStatistics) -> None:
        super().__init__()
        self.norm, self.statistics = norm, statistics

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.statistics.of(x)
        norm = self.norm
        if isinstance(norm, VirtualBatchNorm):
            mean, variance = mean[:, :, None, None], variance[:, :, None, None]
            return norm.mixed(x, mean, variance + mean.square())
        assert isinstance(norm, nn.InstanceNorm2d | BatchNorm)
        # As one sample of N * C channels, each with its own statistics.
        weight, bias = (None if p is None else p.repeat(len(x)) for p in (norm.weight, norm.bias))
        joined = x.reshape(1, -1, *x.shape[2:])
        return F.batch_norm(joined, mean.flatten(), variance.flatten(), weight, bias, eps=norm.eps).view_as(x)


class _GlobalDropout(nn.Module):
    def __init__(self, layer: Dropout, statistics: NormStatistics) -> None:
        super().__init__()
        self.layer, self.statistics = layer, statistics

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.dropped(x, self.statistics.kept(self.layer, x))
