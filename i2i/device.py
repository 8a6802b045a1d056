"""Choose the device, and compute on it independently of the caller's PyTorch settings."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from i2i.errors import UsageError

if TYPE_CHECKING:
    import torch

# An environment variable, read when PyTorch is imported: MKL's matrix products, of which small feature maps are
# computed, are then the same bit for bit for any number of threads.
SAME_FOR_ANY_THREADS = ("MKL_CBWR", "AUTO,STRICT")


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` takes a GPU if there is one.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        if not re.fullmatch(r"(cpu|cuda|mps|xpu|meta)(:\d+)?", name):
            raise RuntimeError("expected cpu, cuda, cuda:1, mps or xpu")
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{device.type} devices can't compute")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} can't be used here: {str(error).splitlines()[0]}; try auto or cpu") from None
    return torch.device("cpu") if device.type == "cpu" else device  # there is one, of any index


@contextlib.contextmanager
def isolated(device: torch.device | str = "cpu") -> Iterator[None]:
    """Ignore what the caller has set: no default device, autocast, inference mode, or gradients.

    PyTorch's default dtype is shared by all threads, so it isn't changed: name the dtype of tensors made in here. Where
    PyTorch isn't loaded, nothing is set.
    """
    with contextlib.ExitStack() as settings:
        if "torch" in sys.modules:
            import torch

            settings.enter_context(torch.inference_mode(False))  # turns gradients on, too
            settings.enter_context(torch.no_grad())
            settings.enter_context(torch.device("cpu"))
            for kind in {"cpu", str(device).partition(":")[0]}:
                settings.enter_context(torch.autocast(kind, enabled=False))
        yield
