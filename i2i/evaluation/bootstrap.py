"""Scores with bootstrap confidence intervals over the images (Efron 1979)."""

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
    """One number that describes a model.

    Attributes:
        label: its name in the table.
        value: the score; NaN if no image has one.
        interval: the 95 % confidence interval; None without resamples.
        n: number of images.
        meaning: how to read the number, in a few words.
        better: whether lower or higher is better, if either.
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
        """The score as plain values for JSON, those of `about` included; NaN becomes None."""
        interval = None if self.interval is None else list(self.interval)
        named = {"label": self.label, "meaning": self.meaning, "better": self.better}
        value = self.value if np.isfinite(self.value) else None
        return {"value": value, "interval": interval, "n": self.n, **named, **self.about}


@dataclass(frozen=True)
class Bootstrap:
    """How images are resampled, with replacement: the number of resamples and the random seed."""

    resamples: int = 1000
    seed: int = 0

    def counts(self, n: int, *, of: Literal["a", "b"] = "a") -> NDArray[np.int64]:
        """How often each of n images is drawn in each resample, (resamples, n); sets `a` and `b` are independent.

        A single image gets no resamples, which would all be equal.
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
    """A score that is a mean over images, or a function of several such means.

    Args:
        label: its name in the table.
        values: a number, or k numbers, per image, (N,) or (N, k); images with a NaN or infinity are left out.
        bootstrap: how to resample.
        of_means: computes the score from the means, (..., k) to (...).
        meaning: how to read the number.
        better: whether lower or higher is better.
        about: what else it depends on.

    Returns:
        The score with its percentile interval; NaN if no image has a value.
    """
    rows = np.asarray(values, np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    rows = rows[np.isfinite(rows).all(axis=1)]
    n = len(rows)
    value = float(of_means(rows.mean(axis=0))) if n else float("nan")
    resampled = of_means(bootstrap.counts(n) @ rows / n) if n > 1 else np.empty(0)
    return Score(label, value, percentiles(resampled), n, meaning, better, about or {})


def percentiles(resampled: Values) -> tuple[float, float] | None:
    """The range of the middle 95 % of resampled scores; None if there are none."""
    if not len(resampled):
        return None
    low, high = np.percentile(resampled, (2.5, 97.5))
    return float(low), float(high)


def centred_percentiles(value: float, resampled: Values) -> tuple[float, float] | None:
    """The percentile interval, shifted so that the mean of the resampled scores is the score itself.

    Repeated images make a distance between two sets larger, so that the plain percentiles would lie above it.
    """
    return percentiles(resampled + (value - resampled.mean())) if len(resampled) else None
