"""The charts of one run or several: which curves share one, thinned to what a screen shows; page.js draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    pick: Callable[..., Any]  # min or max


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


def charts_of(runs: Mapping[str, Run]) -> list[Chart]:
    """Validation scores first, then losses, those of the generator first, then the others.

    The terms of a player share a chart in a page of one run; in a page of several runs each term has a chart, with a
    curve for each run, because a chart of all terms of all runs could not be read.

    Args:
        runs: by the names in the legends of a page of several runs.
    """
    alone = len(runs) == 1
    most = MOST_POINTS if alone else MOST_POINTS // 2
    charts: dict[str, Chart] = {}
    for run_name, run in runs.items():
        best = best_step(run) if alone else None
        for curve_name, curve in run.curves.items():
            place = _alone(curve_name) if alone else _shared(curve_name)
            if place is not None:
                key, title, unit, kind, legend = place
                chart = Chart(key, title, unit, {}, kind, best if kind == "score" else None)
                charts.setdefault(key, chart).curves[legend if alone else run_name] = thinned(curve, most=most)
    by_player = sorted(charts.values(), key=lambda chart: chart.key.partition("/")[0], reverse=True)
    return sorted(by_player, key=_order)


class _Place(NamedTuple):
    """The chart of a curve, and the curve's name in a legend."""

    key: str
    title: str
    unit: str
    kind: str
    legend: str


def _alone(name: str) -> _Place | None:
    """The chart of a curve in the page of its run; None for a curve that isn't shown."""
    player, slash, term = name.partition("/")
    if score := score_of(name):
        return _Place(name, score.title, score.unit, "score", score.title)
    if name in _OTHERS:
        title, unit, kind = _OTHERS[name]
        return _Place(name, title, unit, kind, title.lower())
    if not slash or player == "validation":
        return None
    return _Place(player, _spaced(player).capitalize(), "losses", "losses", _spaced(term))


def _shared(name: str) -> _Place | None:
    """The chart of a curve in a page of several runs: its own."""
    place = _alone(name)
    if place is None or place.kind != "losses":
        return place
    return place._replace(key=name, title=f"{place.title}: {place.legend}", unit="loss")


def _order(chart: Chart) -> tuple[int, int]:
    if chart.row == "others":
        return 2, list(_OTHERS).index(chart.key)
    return (0, 0) if chart.row == "scores" else (1, chart.key.partition("/")[0] != "generator")


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
