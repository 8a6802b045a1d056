"""What a score is, and the registries by which a new one is one new file.

A paired score compares a translation with its target:

    @paired_scores.register("max_difference")  # its name in the JSON
    def max_difference(_):
        return PairedScore(lambda result, target: float(abs(result - target).max()), "Maximum difference", "lower")

A set distance compares the features of the translations with those of real images:

    @set_distances.register("mean_distance")
    def mean_distance(fake, real):
        def compute(fake_counts, real_counts):
            difference = fake_counts @ fake / fake_counts.sum() - real_counts @ real / real_counts.sum()
            return float((difference**2).sum())

        return SetDistance(compute, "Distance of the means", "without the covariances")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from i2i.evaluation.bootstrap import Better, Values
from i2i.evaluation.pixels import Pixels
from i2i.registry import Registry


class Outputs(NamedTuple):
    """The translations that are to be scored.

    Attributes:
        size: their height and width in pixels.
        channels: of each.
        device: for scores that run a network.
    """

    size: int
    channels: int
    device: torch.device


@dataclass(frozen=True)
class PairedScore:
    """A score of a translation against its target.

    Attributes:
        compute: the score of (result, target), both (H, W, C) in [0, 255].
        label: its name in the table.
        better: whether lower or higher is better.
        about: what else it depends on; goes to the JSON.
    """

    compute: Callable[[Pixels, Pixels], float]
    label: str
    better: Better
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SetDistance:
    """A distance between the features of two sets of images; lower is better.

    Attributes:
        compute: the distance, given how often each image counts in its set, (N,) and (M,): ones for the sets
            themselves, the numbers of draws for a bootstrap resample.
        label: its name in the table, to which the feature network is added.
        meaning: a note below the table.
        inception_label: what it is called with Inception's features, such as FID.
    """

    compute: Callable[[Values, Values], float]
    label: str
    meaning: str = ""
    inception_label: str = ""


paired_scores: Registry[PairedScore | None] = Registry("paired score")
"""Builders, given `Outputs`, of the scores that all pairs get; None if such images have no such score."""

extra_paired_scores: Registry[PairedScore | None] = Registry("extra paired score")
"""Builders, given `Outputs`, of scores that are computed on request, such as those that need a download."""

set_distances: Registry[SetDistance] = Registry("set distance")
"""Builders (fake, real), features (N, D) and (M, D), of the distances that a feature network gives."""
