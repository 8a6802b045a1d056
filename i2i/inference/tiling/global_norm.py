"""Give a network's norms the statistics of the full image, although the network sees one tile at a time."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.inference.tiling.tiler import Span
from i2i.networks.layers import BatchNorm, Dropout
from i2i.networks.virtual_batch_norm import Reference, VirtualBatchNorm

M = TypeVar("M", bound=nn.Module)
Adjust: TypeAlias = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]


class StatisticsPending(Exception):
    """Raised by the norm whose statistics are being gathered: the rest of the forward pass isn't needed."""


class NormStatistics:
    """Mean and variance of each norm's input over the full image, gathered from tiles, one norm after the other.

    Norms are told apart by the order in which a forward pass calls them.

    Args:
        size: height and width of the image, in pixels.
        adjust: called with the mean and variance of each norm, in order, and the pixels that they are of; gives those
            that the norm takes instead.
    """

    def __init__(self, size: tuple[int, int], *, adjust: Adjust | None = None) -> None:
        self._size, self._adjust = size, adjust
        self._masks: dict[tuple[nn.Module, tuple[int, ...]], Tensor] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all statistics, for the norms of another segment."""
        self._final: list[tuple[Tensor, Tensor]] = []
        self._start_norm()

    def begin_tile(self, rows: Span, columns: Span) -> None:
        """A forward pass over this tile's window follows."""
        self._tile, self._calls = (rows, columns), 0

    def finalize(self) -> None:
        """All tiles have been added to the statistics of the current norm; gather those of the next."""
        mean, variance = self._mean.float(), (self._squares / self._count).float()
        self._final.append(self._adjust(mean, variance, self._count) if self._adjust else (mean, variance))
        self._start_norm()

    def get(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, (N, C) each, of the norm that is called now, whose input is x (N, C, h, w).

        Raises:
            StatisticsPending: they aren't final; the tile has been added to them.
        """
        if self._calls == len(self._final):
            self._add(x)
            raise StatisticsPending
        self._calls += 1
        mean, variance = self._final[self._calls - 1]
        return mean.to(x.device), variance.to(x.device)

    def dropout_mask(self, layer: Dropout, x: Tensor) -> Tensor:
        """The window of the full image's dropout mask that belongs to the layer's input x (N, C, h, w): (C, h, w)."""
        rows, columns = (scaled(span.window_start) for span, scaled in self._axes(x))
        sides = [scaled(side) for side, (_, scaled) in zip(self._size, self._axes(x), strict=True)]
        key = layer, (x.shape[1], *sides)
        if key not in self._masks:
            self._masks[key] = layer.kept(key[1]).to(x.device)
        return self._masks[key][:, rows : rows + x.shape[2], columns : columns + x.shape[3]]

    def _start_norm(self) -> None:
        self._count, self._mean, self._squares = 0, torch.zeros((), dtype=torch.double), torch.zeros(())

    def _add(self, x: Tensor) -> None:
        # The tile alone, without the rest of its window; combined as by Chan et al. 1979.
        rows, columns = (
            slice(scaled(span.start - span.window_start), scaled(span.stop - span.window_start))
            for span, scaled in self._axes(x)
        )
        tile = x[:, :, rows, columns]
        variance, mean = (moment.cpu().double() for moment in torch.var_mean(tile, dim=(2, 3), correction=0))
        count = tile.shape[2] * tile.shape[3]
        total, delta = self._count + count, mean - self._mean
        self._squares = self._squares + count * variance + delta.square() * (self._count * count / total)
        self._mean, self._count = self._mean + delta * (count / total), total

    def _axes(self, x: Tensor) -> Iterator[tuple[Span, Callable[[int], int]]]:
        """The tile along each axis, and a function from pixels of the image to rows or columns of a layer's input."""
        for span, length in zip(self._tile, x.shape[2:], strict=True):
            scale = length / (span.window_stop - span.window_start)
            yield span, lambda pixels, scale=scale: round(pixels * scale)  # type: ignore[misc]


def with_global_norms(network: M, statistics: NormStatistics) -> M:
    """A copy of a network, with the same weights, whose norms take their mean and variance from `statistics`.

    It replaces norms that normalise each image by itself: instance norm, virtual batch norm, and batch norm with
    `at_inference="sample"`. Dropout that is active at inference takes its mask from `statistics`, too. The network
    itself isn't changed, because other threads may be using it.
    """
    weights = itertools.chain(network.parameters(), network.buffers())
    result = copy.deepcopy(network, {id(tensor): tensor for tensor in weights})
    _see_reference(result)
    for path, module in list(result.named_modules(remove_duplicate=False)):  # a norm may be used in several places
        parent, _, name = path.rpartition(".")
        if normalises_by_itself(module):
            setattr(result.get_submodule(parent), name, GlobalNorm(module, statistics))
        elif isinstance(module, Dropout) and module.at_inference:
            setattr(result.get_submodule(parent), name, GlobalDropout(module, statistics))
    return result


class GlobalNorm(nn.Module):
    """A norm with the statistics of the full image."""

    def __init__(self, norm: nn.Module, statistics: NormStatistics) -> None:
        super().__init__()
        self.norm, self.statistics = norm, statistics

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, h, w); raises StatisticsPending."""
        mean, variance = self.statistics.get(x)
        norm = self.norm
        if isinstance(norm, VirtualBatchNorm):
            mean, variance = mean[:, :, None, None], variance[:, :, None, None]
            return norm.mixed(x, mean, variance + mean.square())
        assert isinstance(norm, nn.InstanceNorm2d | BatchNorm)
        # As one sample of N * C channels, each with its own statistics.
        weight, bias = (None if p is None else p.repeat(len(x)) for p in (norm.weight, norm.bias))
        joined = x.reshape(1, -1, *x.shape[2:])
        return F.batch_norm(joined, mean.flatten(), variance.flatten(), weight, bias, eps=norm.eps).view_as(x)


class GlobalDropout(nn.Module):
    """Dropout with a window of the full image's mask."""

    def __init__(self, layer: Dropout, statistics: NormStatistics) -> None:
        super().__init__()
        self.layer, self.statistics = layer, statistics

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of (N, C, h, w)."""
        return self.layer.dropped(x, self.statistics.dropout_mask(self.layer, x))


def _see_reference(network: nn.Module) -> None:
    """Compute the reference statistics of virtual batch norm now: its reference batch can't pass replaced norms."""
    reference = getattr(network, "reference", None)
    if isinstance(reference, Reference):
        if len(reference.batch) and not reference.seen:
            network(reference.batch[:1])
        reference.seen = True


def normalises_by_itself(module: nn.Module) -> bool:
    """Whether a layer is a norm that takes its statistics from the image that it is given."""
    if isinstance(module, nn.InstanceNorm2d):
        return not module.track_running_stats
    return isinstance(module, VirtualBatchNorm) or (isinstance(module, BatchNorm) and module.at_inference == "sample")
