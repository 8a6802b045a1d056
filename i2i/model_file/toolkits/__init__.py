"""Generators of other toolkits: one file for each layout of weights, which registers itself."""

from i2i.model_file.toolkits.base import Recognised, is_checkpoint, load_checkpoint

__all__ = ["Recognised", "is_checkpoint", "load_checkpoint"]
