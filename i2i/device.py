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
