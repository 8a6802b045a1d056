"""Editing a photograph on the manifold of a trained generator: draw, and the nearest plausible image appears.

Names are imported when first used, so that a server of exported models does without PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i2i.editing.editor import Candidate, Editor
    from i2i.editing.strokes import ColourStroke, SketchStroke, Stroke, WarpStroke

__all__ = ["Candidate", "ColourStroke", "Editor", "SketchStroke", "Stroke", "WarpStroke"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'i2i.editing' has no attribute {name!r}")
    home = "editor" if name in ("Candidate", "Editor") else "strokes"
    return getattr(importlib.import_module(f"i2i.editing.{home}"), name)
