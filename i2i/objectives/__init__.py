"""The methods, one file each; every module here registers what it holds."""

from i2i.objectives.base import Losses, LossFn, Objective, objectives
from i2i.registry import discover

discover(__name__)

__all__ = ["LossFn", "Losses", "Objective", "objectives"]
