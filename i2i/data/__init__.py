"""Folders of images turned into batches."""

from i2i.data.dataset import ImageDataset
from i2i.data.folders import Layout, find_layout
from i2i.data.loader import load

__all__ = ["ImageDataset", "Layout", "find_layout", "load"]
