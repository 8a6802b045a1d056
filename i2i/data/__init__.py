"""Folders of pictures turned into batches."""

from i2i.data.folders import Layout, find_layout
from i2i.data.loading import Pictures, load

__all__ = ["Layout", "Pictures", "find_layout", "load"]
