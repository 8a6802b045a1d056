"""Editing a photograph on the manifold of a trained generator: draw, and the nearest plausible image appears."""

from i2i.editing.editor import Candidate, Editor
from i2i.editing.strokes import ColourStroke, SketchStroke, Stroke, WarpStroke

__all__ = ["Candidate", "ColourStroke", "Editor", "SketchStroke", "Stroke", "WarpStroke"]
