"""Experiment trackers, one file each, which register themselves."""

from i2i.plugins import discover
from i2i.training.trackers.base import TrackedRun, Tracker, trackers

discover(__name__)

__all__ = ["TrackedRun", "Tracker", "trackers"]
