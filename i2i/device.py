"""Which device computes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

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
        if not re.fullmatch(r"(cpu|cuda|mps|xpu|meta)(:\d+)?", name):
            raise RuntimeError("expected cpu, cuda, cuda:1, mps or xpu")
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


@contextlib.contextmanager
def isolated(device: torch.device | None = None) -> Iterator[None]:
    """Compute as if the caller had set nothing: no default device, autocast, inference mode, or gradients.

    PyTorch's default dtype belongs to all threads, so it is left alone: name the dtype of what is made in here.
    """
    with contextlib.ExitStack() as settings:
        settings.enter_context(torch.inference_mode(False))  # turns gradients on, too
        settings.enter_context(torch.no_grad())
        settings.enter_context(torch.device("cpu"))
        for kind in {"cpu", device.type if device else "cpu"}:
            settings.enter_context(torch.autocast(kind, enabled=False))
        yield


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full."""
    # On the CPU torch raises a plain RuntimeError, in words that depend on the system; oneDNN's don't say why.
    words: tuple[str, ...] = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
    words += ("could not create a primitive", "could not execute a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free where a system ends a program that takes more (the CPU's, on Linux); None elsewhere."""
    if device.type != "cpu":
        return None
    free: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        most, used = (int(Path("/sys/fs/cgroup", f"memory.{what}").read_text()) for what in ("max", "current"))
        kinds = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        free.append(most - used + int(kinds.get("inactive_file", 0)))  # of files that were read, given back on demand
    return min(free) if free else None
