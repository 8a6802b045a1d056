"""The charts of a run: which curves share one, and thinned to what a screen shows; page.js draws them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from i2i.report.run_folder import Curve, Run, count, mapping

MOST_POINTS = 1000
_OTHERS = {
    "fake_accuracy": ("Fake accuracy", "fakes recognised as fake", "share"),
    "lr": ("Learning rate", "", "rate"),
    "images_per_second": ("Speed", "images per second", "speed"),
}
_LOG_FACTOR = 30  # terms whose medians differ by more are shown on a logarithmic scale


class ValidationScore(NamedTuple):
    """How a validation score is presented, and which of its values is the best."""

    title: str
    unit: str
    pick: Callable[..., tuple[int, float]]


_SCORES = {
    "l1": ValidationScore("L1", "0 to 255, lower is better", min),
    "psnr": ValidationScore("PSNR", "dB, higher is better", max),
    "ssim": ValidationScore("SSIM", "up to 1, higher is better", max),
}


@dataclass(frozen=True)
class Chart:
    """Curves that share an axis.

    Attributes:
        key: names the chart in the page's URL.
        title: the heading.
        unit: of the values, in words.
        curves: by the names in the legend.
        kind: losses, share (0 to 1), score, rate or speed.
        best: the step of the best score.
    """

    key: str
    title: str
    unit: str
    curves: dict[str, Curve]
    kind: str
    best: int | None = None

    @property
    def row(self) -> str:
        """The row of the page that the chart stands in: scores, losses or others."""
        return {"score": "scores", "losses": "losses"}.get(self.kind, "others")

    @property
    def can_log(self) -> bool:
        """Whether all values can be shown on a logarithmic scale."""
        return self.kind == "losses" and all(v > 0 for curve in self.curves.values() for _, v in curve)

    @property
    def is_log(self) -> bool:
        """Whether a logarithmic scale is the default, because the terms are of very different sizes."""
        medians = [sorted(v for _, v in curve)[len(curve) // 2] for curve in self.curves.values()]
        return self.can_log and max(medians) > _LOG_FACTOR * min(medians)

    def to_dict(self) -> dict[str, Any]:
        """The chart for page.js: curves as [[steps], [values]], values of five significant digits."""
        curves = {
            name: [[step for step, _ in curve], [float(f"{value:.5g}") for _, value in curve]]
            for name, curve in self.curves.items()
        }
        return {**vars(self), "curves": curves, "canLog": self.can_log, "log": self.is_log}


def charts_of(run: Run) -> list[Chart]:
    """Validation scores first, then a chart of losses for each player, then the others."""
    curves = {name: thinned(curve) for name, curve in run.curves.items()}
    best = best_step(run)
    scores = []
    players: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        player, slash, term = name.partition("/")
        if score := score_of(name):
            scores.append(Chart(name, score.title, score.unit, {score.title: curve}, "score", best))
        elif slash and player != "validation":
            players.setdefault(player, {})[_spaced(term)] = curve
    losses = [Chart(p, _spaced(p).capitalize(), "losses", players[p], "losses") for p in sorted(players, reverse=True)]
    losses.sort(key=lambda chart: chart.key != "generator")
    others = [
        Chart(name, title, unit, {title.lower(): curves[name]}, kind)
        for name, (title, unit, kind) in _OTHERS.items()
        if name in curves
    ]
    return scores + losses + others


def score_of(name: str) -> ValidationScore | None:
    """The validation score that a curve holds; None for any other curve."""
    player, _, term = name.partition("/")
    if player != "validation" or term in ("", "n"):
        return None
    return _SCORES.get(term) or ValidationScore(_spaced(term), "", min)


def best_step(run: Run) -> int | None:
    """The step of the best model: the one that the summary names, or else that of the lowest L1."""
    named = count(mapping(run.summary, "best").get("step"))
    curve = run.curves.get("validation/l1")
    return min(curve, key=lambda point: point[1])[0] if named is None and curve else named


def thinned(curve: Curve, *, most: int = MOST_POINTS) -> Curve:
    """Average neighbouring points so that at most `most` are left, each at its last neighbour's step."""
    every = -(-len(curve) // most)
    if every <= 1:
        return curve
    groups = (curve[start : start + every] for start in range(0, len(curve), every))
    return [(group[-1][0], math.fsum(value for _, value in group) / len(group)) for group in groups]


def _spaced(name: str) -> str:
    return name.replace("_", " ")
