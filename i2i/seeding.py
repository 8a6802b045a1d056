"""Random generators with a seed, and the state of PyTorch's global generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from i2i.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of PyTorch's global generators, on the CPU and on the device."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore what `random_state` returned."""
    import torch

    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def seeded(seed: int) -> torch.Generator:
    """PyTorch's random generator with a seed, on the CPU, so that its numbers are the same for every device.

    Raises:
        UsageError: the seed is negative, or 2^63 or more.
    """
    import torch

    return torch.Generator().manual_seed(check_seed(seed))


def latent_of(seed: int, length: int) -> NDArray[np.float32]:
    """A latent (1, length) from N(0, 1), drawn without PyTorch, so that every backend has the same.

    Raises:
        UsageError: the seed is negative, or 2^63 or more.
    """
    return np.random.default_rng(check_seed(seed)).standard_normal((1, length), np.float32)


def check_seed(seed: int) -> int:
    """Return the seed if random generators take it.

    Raises:
        UsageError: it is negative, or 2^63 or more.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed}: it must be from 0 to below 2^63")
    return seed
