"""The charts of one run or several: which curves share one, thinned to what a screen shows; page.js draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from i2i.report.run_folder import Curve, Run, count, mapping

Band = list[tuple[int, float, float]]
"""Intervals by step: (step, low, high)."""

MOST_POINTS = 1000
_OTHERS = {
    "fake_accuracy": ("Fake accuracy", "fakes recognised as fake", "share"),
    "lr": ("Learning rate", "", "rate"),
    "images_per_second": ("Speed", "images per second", "speed"),
}
_LOG_FACTOR = 30  # terms whose medians differ by more are shown on a logarithmic scale


class ValidationScore(NamedTuple):
    """How a validation score is presented, and which of its values is the best; and of which direction it is."""

    title: str
    unit: str
    pick: Callable[..., Any]  # min or max
    direction: str = ""


_SCORES = {
    "l1": ValidationScore("L1", "0 to 255, lower is better", min),
    "psnr": ValidationScore("PSNR", "dB, higher is better", max),
    "ssim": ValidationScore("SSIM", "up to 1, higher is better", max),
    "kernel_distance_inception": ValidationScore("KID", "lower is better", min),
}
_KERNEL_DISTANCE = "kernel_distance_"  # and the network of the features
_DIRECTION = re.compile(r"/([az]2b|b2a)$")


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
        bands: the 95 % intervals of curves that have them.
    """

    key: str
    title: str
    unit: str
    curves: dict[str, Curve]
    kind: str
    best: int | None = None
    bands: dict[str, Band] = field(default_factory=dict)

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
        """The chart for page.js: curves as [[steps], [values]] and bands as [[steps], [lows], [highs]]."""
        curves, bands = ({name: _columns(points) for name, points in of.items()} for of in (self.curves, self.bands))
        return {**vars(self), "curves": curves, "bands": bands, "canLog": self.can_log, "log": self.is_log}


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
        curves = {name: thinned(curve, most=most) for name, curve in run.curves.items()}
        for curve_name, curve in curves.items():
            place = _alone(curve_name, run) if alone else _shared(curve_name, run)
            if place is None:
                continue
            key, title, unit, kind, legend = place
            label = legend if alone else run_name
            chart = charts.setdefault(key, Chart(key, title, unit, {}, kind, best if kind == "score" else None))
            chart.curves[label] = curve
            if band := band_of(curve_name, curves):
                chart.bands[label] = band
    by_player = sorted(charts.values(), key=lambda chart: chart.key.partition("/")[0], reverse=True)
    return sorted(by_player, key=_order)


class _Place(NamedTuple):
    """The chart of a curve, and the curve's name in a legend."""

    key: str
    title: str
    unit: str
    kind: str
    legend: str


def _alone(name: str, run: Run) -> _Place | None:
    """The chart of a curve in the page of its run, which the directions of a score share; None if it isn't shown."""
    player, slash, term = name.partition("/")
    if score := score_of(name, run):
        key = _DIRECTION.sub("", name)
        return _Place(key, score.title, score.unit, "score", score.direction or score.title)
    if name in _OTHERS:
        title, unit, kind = _OTHERS[name]
        return _Place(name, title, unit, kind, title.lower())
    if not slash or player == "validation":
        return None
    return _Place(player, _spaced(player).capitalize(), "losses", "losses", _spaced(term))


def _shared(name: str, run: Run) -> _Place | None:
    """The chart of a curve in a page of several runs: its own."""
    place = _alone(name, run)
    if place is None or place.legend.lower() == place.title.lower():
        return place
    unit = "loss" if place.kind == "losses" else place.unit
    return place._replace(key=name, title=f"{place.title}: {place.legend}", unit=unit)


def _order(chart: Chart) -> tuple[int, int]:
    if chart.row == "others":
        return 2, list(_OTHERS).index(chart.key)
    return (0, 0) if chart.row == "scores" else (1, chart.key.partition("/")[0] != "generator")


def score_of(name: str, run: Run) -> ValidationScore | None:
    """The validation score that a curve holds, such as validation/l1; None for any other curve."""
    player, _, term = name.partition("/")
    if player != "validation" or term in ("", "n") or term.endswith(("/low", "/high")):
        return None
    direction = _DIRECTION.search(term)
    term = _DIRECTION.sub("", term)
    score = _SCORES.get(term) or ValidationScore(_spaced(term), "", min)
    if term not in _SCORES and term.startswith(_KERNEL_DISTANCE):
        network = _spaced(term.removeprefix(_KERNEL_DISTANCE))
        score = ValidationScore("Kernel distance", f"features of {network}, lower is better", min)
    if direction:
        return score._replace(direction=run.name_of(direction[1]))
    return score._replace(direction="mean") if f"{name}/a2b" in run.curves else score


def band_of(name: str, curves: Mapping[str, Curve]) -> Band:
    """The 95 % intervals of a curve; empty where it has none."""
    high = dict(curves.get(f"{name}/high", ()))
    return [(step, low, high[step]) for step, low in curves.get(f"{name}/low", ()) if step in high]


def best_step(run: Run) -> int | None:
    """The step of the best model: the one that the summary names, or else that of the lowest kernel distance or L1."""
    named = count(mapping(run.summary, "best").get("step"))
    distances = (curve for name, curve in run.curves.items() if name.startswith(f"validation/{_KERNEL_DISTANCE}"))
    curve = next(distances, run.curves.get("validation/l1"))
    return min(curve, key=lambda point: point[1])[0] if named is None and curve else named


def thinned(curve: Curve, *, most: int = MOST_POINTS) -> Curve:
    """Average neighbouring points so that at most `most` are left, each at its last neighbour's step."""
    every = -(-len(curve) // most)
    if every <= 1:
        return curve
    groups = (curve[start : start + every] for start in range(0, len(curve), every))
    return [(group[-1][0], math.fsum(value for _, value in group) / len(group)) for group in groups]


def _columns(points: Iterable[tuple[float, ...]]) -> list[list[float]]:
    """Points as columns: steps, and values of five significant digits."""
    steps, *values = zip(*points, strict=True)
    return [list(steps), *([float(f"{value:.5g}") for value in column] for column in values)]


def _spaced(name: str) -> str:
    return name.replace("_", " ")
