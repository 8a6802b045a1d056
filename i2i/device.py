"""Which device computes."""

from __future__ import annotations

import torch

from i2i.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is the GPU where there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{device.type} devices don't train")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} can't be used here: {str(error).splitlines()[0]}; try auto or cpu") from None
    return device


def seeded(seed: int) -> torch.Generator:
    """Random numbers from a seed, on the CPU so that they are the same for every device.

    Raises:
        UsageError: the seed is negative, or 2^63 or more.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed}: it is from 0 to below 2^63")
    return torch.Generator().manual_seed(seed)
