"""A module for each command, found by its name: `Flags` (a dataclass), `USAGE`, `SUMMARY` and `run(args)`.

`i2i --help` imports them all, so slow imports (torch, numpy) belong inside `run`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType


@functools.cache
def commands() -> dict[str, ModuleType]:
    """The modules of all commands, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name.rstrip("_"): importlib.import_module(f"{__name__}.{name}") for name in names}  # import_: a keyword
