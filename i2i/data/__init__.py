"""Folders of images turned into batches. `find_layout` loads no torch; other names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from i2i.data.folders import find_layout
from i2i.data.layout import Layout

if TYPE_CHECKING:
    from i2i.data.dataset import ImageDataset, ShuffledDataset
    from i2i.data.loader import load

__all__ = ["ImageDataset", "Layout", "ShuffledDataset", "find_layout", "load"]

_MODULES = {"ImageDataset": "dataset", "ShuffledDataset": "dataset", "load": "loader"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'i2i.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"i2i.data.{_MODULES[name]}"), name)
