"""Random latents of a batch that all ranks draw alike, so that a run does not depend on the world size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from i2i.distributed import local_shard, world_size
from i2i.networks import Prior


def drawn_from(prior: Prior, count: int, length: int) -> Tensor:
    """Latents from a generator's prior, (count, length), on the CPU."""
    return normal(count, length) if prior == "normal" else uniform(count, length)


def normal(count: int, length: int) -> Tensor:
    """Latents from N(0, 1), (count, length), on the CPU."""
    return _share(count, lambda total: torch.randn(total, length))


def uniform(count: int, length: int) -> Tensor:
    """Latents from U(-1, 1), (count, length), on the CPU."""
    return _share(count, lambda total: torch.rand(total, length) * 2 - 1)


def _share(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    # All ranks have the same random state: each draws the latents of all and keeps its shard.
    return local_shard(draw(world_size() * count))
