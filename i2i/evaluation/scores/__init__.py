"""The scores, one file for each kind; every module here registers the scores that it defines."""

from i2i.evaluation.scores.base import (
    Outputs,
    PairedScore,
    SetDistance,
    extra_paired_scores,
    paired_scores,
    set_distances,
)
from i2i.plugins import discover

discover(__name__)

__all__ = ["Outputs", "PairedScore", "SetDistance", "extra_paired_scores", "paired_scores", "set_distances"]
