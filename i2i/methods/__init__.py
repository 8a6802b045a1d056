"""Training methods, one file each, which register themselves."""

from i2i.methods.base import Losses, LossFn, Method, methods
from i2i.plugins import discover

discover(__name__)

__all__ = ["LossFn", "Losses", "Method", "methods"]
