"""How much memory a network needs for an image, and how much is free."""

from __future__ import annotations

import contextlib
import copy
import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.networks.base import Generator


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


_LIVING = 4  # outputs as large as the largest that are in memory at once, with the library's own copies: measured


def memory_per_pixel(generator: Generator) -> float:
    """About how many bytes an image takes on its way through a network, for each of its pixels, in float32."""
    if generator not in _memory:
        multiple = generator.multiple
        side = -(-max(generator.smallest, 64) // multiple) * multiple
        sizes: list[int] = []

        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor):
                sizes.append(output[0].numel())

        # A copy, for others may be using it; hooks are no part of its weights.
        network = copy.deepcopy(generator).cpu().eval()
        with torch.no_grad():
            network(*blank_input(generator, side, side))  # virtual batch norm sees its reference, of any size
            for module in network.modules():
                module.register_forward_hook(note)
            network(*blank_input(generator, side, side))
        _memory[generator] = 4 * _LIVING * max(sizes) / side**2
    return _memory[generator]


_memory: weakref.WeakKeyDictionary[Generator, float] = weakref.WeakKeyDictionary()


def blank_input(generator: Generator, height: int, width: int) -> list[Tensor]:
    """A grey image, and a latent where a network takes one."""
    image = torch.zeros(1, generator.in_channels, height, width, dtype=torch.float32)
    return [image, torch.zeros(1, generator.latent, dtype=torch.float32)] if generator.latent else [image]
