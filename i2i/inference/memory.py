"""How much memory is free, and whether it has run out."""

from __future__ import annotations

import contextlib
from pathlib import Path


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full."""
    # On the CPU PyTorch raises a plain RuntimeError, whose text depends on the system; oneDNN's gives no reason.
    words: tuple[str, ...] = ("out of memory", "can't alloc", "not enough memory", "bad_alloc")
    words += ("could not create a primitive", "could not execute a primitive")
    words += ("failed to allocate",)  # ONNX Runtime's and OpenVINO's
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(word in text for word in words)


def free_memory(device: str) -> int | None:
    """Free bytes, where the system kills a program that takes more (main memory on Linux); None elsewhere."""
    if device != "cpu":
        return None
    free: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        limit, used = (int(Path("/sys/fs/cgroup", f"memory.{what}").read_text()) for what in ("max", "current"))
        kinds = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
        free.append(limit - used + int(kinds.get("inactive_file", 0)))  # the page cache is freed on demand
    return min(free) if free else None
