"""Score the registered distances between two sets of features, with their confidence intervals."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, centred_percentiles
from i2i.evaluation.features import FeatureNetwork
from i2i.evaluation.scores import SetDistance, set_distances
from i2i.progress import Progress


class Estimate(NamedTuple):
    """A distance and its 95 % confidence interval."""

    value: float
    interval: tuple[float, float] | None


def distance_scores(
    network: FeatureNetwork, fake: Values, real: Values, bootstrap: Bootstrap, *, paired: bool
) -> dict[str, Score]:
    """The scores by name: fid and kid with Inception's features, else the distance and the feature network.

    Args:
        network: computed the features.
        fake: features of translations, (N, D); N is 2 or more.
        real: features of real images of the target domain, (M, D); M is 2 or more.
        bootstrap: how to resample.
        paired: whether the images are pairs, so that both sets are resampled together.
    """
    distances = {name: set_distances[name](fake, real) for name in set_distances}
    estimates = estimate(distances.values(), len(fake), len(real), bootstrap, paired=paired)
    about = {"n_real": len(real), "features": network.name}
    features = f"features: {network.layer}; images: {network.resize}, {network.normalisation}"
    scores: dict[str, Score] = {}
    for (name, distance), (value, interval) in zip(distances.items(), estimates, strict=True):
        label = f"{distance.label} ({network.name})"
        key = f"{name}_{network.name.replace('-', '_')}"
        if network.name == "inception" and distance.inception_label:
            label, key = distance.inception_label, distance.inception_label.lower()
        meaning = distance.meaning if scores else f"{distance.meaning}; {features}"  # the features once
        scores[key] = Score(label, value, interval, len(fake), meaning, "lower", about)
    return scores


def estimate(
    distances: Collection[SetDistance], n: int, m: int, bootstrap: Bootstrap, *, paired: bool
) -> list[Estimate]:
    """The distances between sets of n and m images, with confidence intervals.

    The intervals are centred on the values (see `centred_percentiles`), and hold for sets of this size.
    """
    assert min(n, m) > 1
    counts_a = bootstrap.counts(n)
    counts_b = counts_a if paired else bootstrap.counts(m, of="b")
    draws = zip(counts_a.astype(float), counts_b.astype(float), strict=True)
    resamples = [
        [distance.compute(a, b) for distance in distances]
        for a, b in Progress(draws, "resampling", len(counts_a), unit="set")
        if min(np.count_nonzero(a), np.count_nonzero(b)) > 1
    ]
    values = [distance.compute(np.ones(n), np.ones(m)) for distance in distances]
    columns = np.array(resamples).reshape(-1, len(distances)).T
    return [Estimate(v, centred_percentiles(v, column)) for v, column in zip(values, columns, strict=True)]
