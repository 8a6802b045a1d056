"""Folders of pictures turned into batches."""

from i2i.data.dataset import Pictures
from i2i.data.folders import Layout, find_layout
from i2i.data.loader import load

__all__ = ["Layout", "Pictures", "find_layout", "load"]
