"""Scores with the interval that resampling the images gives (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values: TypeAlias = NDArray[np.float64]
Better: TypeAlias = Literal["lower", "higher"]


@dataclass(frozen=True)
class Score:
    """One number that says how good a model is.

    Attributes:
        label: what people call it.
        value: the score.
        interval: where 95 % of resamplings of the images fall, or None where nothing was resampled.
        n: images that it is of.
        meaning: in a few words, what its numbers say.
        better: which way is better, where one is.
        about: what else the number depends on.
    """

    label: str
    value: float
    interval: tuple[float, float] | None
    n: int
    meaning: str = ""
    better: Better | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON holds; `about` stands beside the others. A value that isn't there is None."""
        interval = None if self.interval is None else list(self.interval)
        named = {"label": self.label, "meaning": self.meaning, "better": self.better}
        value = self.value if np.isfinite(self.value) else None
        return {"value": value, "interval": interval, "n": self.n, **named, **self.about}


@dataclass(frozen=True)
class Bootstrap:
    """How images are resampled: as many as there are, with replacement, so many times, from a seed."""

    resamples: int = 1000
    seed: int = 0

    def counts(self, n: int, *, of: Literal["a", "b"] = "a") -> NDArray[np.int64]:
        """How often each of n images is drawn in each resampling, (resamples, n); sets `a` and `b` are independent.

        None are drawn of a single image, whose resamplings would all be alike.
        """
        rng = np.random.default_rng((self.seed, "ab".index(of)))
        return rng.multinomial(n, np.full(n, 1 / n), size=self.resamples if n > 1 else 0)


def score_of_means(
    label: str,
    values: ArrayLike,
    bootstrap: Bootstrap,
    *,
    of_means: Callable[[Values], Values] = lambda means: means[..., 0],
    meaning: str = "",
    better: Better | None = None,
    about: Mapping[str, Any] | None = None,
) -> Score:
    """A score that is the mean over images, or a function of several such means.

    Args:
        label: what people call it.
        values: a number, or k numbers, for each image, (N,) or (N, k); images that have none, being not finite,
            are left out.
        bootstrap: how to resample.
        of_means: the score of the means, (..., k) to (...).
        meaning: what its numbers say.
        better: which way is better.
        about: what else it depends on.

    Returns:
        The score with the percentile interval; not a number where no image has a value.
    """
    every = np.asarray(values, np.float64)
    every = every[:, None] if every.ndim == 1 else every
    every = every[np.isfinite(every).all(axis=1)]
    n = len(every)
    value = float(of_means(every.mean(axis=0))) if n else float("nan")
    drawn = of_means(bootstrap.counts(n) @ every / n) if n > 1 else np.empty(0)
    return Score(label, value, percentiles(drawn), n, meaning, better, about or {})


def percentiles(drawn: Values) -> tuple[float, float] | None:
    """Where the middle 95 % of resampled scores lie; None where there are none."""
    if not len(drawn):
        return None
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def centred_percentiles(value: float, drawn: Values) -> tuple[float, float] | None:
    """The same, moved so that the resampled scores have the score itself as their mean.

    A distance between two sets grows when images are drawn twice and others not at all, so that the plain
    percentiles would lie above the distance that they are to surround.
    """
    return percentiles(drawn + (value - drawn.mean())) if len(drawn) else None
