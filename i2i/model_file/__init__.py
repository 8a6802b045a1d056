"""Model files: one safetensors file with all that rebuilds and describes a run's generators, and no pickle.

Names are imported when first used, so that a header can be read without PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i2i.model_file.model_file import FORMAT, Model, load_model, read_header, save_model

__all__ = ["FORMAT", "Model", "load_model", "read_header", "save_model"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'i2i.model_file' has no attribute {name!r}")
    return getattr(importlib.import_module("i2i.model_file.model_file"), name)
