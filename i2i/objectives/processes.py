"""What the processes that share a batch do alike, so that a run does not depend on how many they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed


def normal(count: int, length: int) -> Tensor:
    """Latents from N(0, 1), (count, length), on the CPU."""
    return _share(count, lambda total: torch.randn(total, length))


def uniform(count: int, length: int) -> Tensor:
    """Latents from U(-1, 1), (count, length), on the CPU."""
    return _share(count, lambda total: torch.rand(total, length) * 2 - 1)


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes; itself where there is one."""
    if distributed.is_initialized():
        distributed.all_reduce(value)
        value /= distributed.get_world_size()
    return value


def _share(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Draw for all processes, which stand at the same random numbers, and keep this one's part."""
    if not distributed.is_initialized():
        return draw(count)
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    return draw(ranks * count)[rank * count : (rank + 1) * count]
