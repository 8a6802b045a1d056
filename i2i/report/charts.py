"""A run's curves as charts: which there are, thinned to what a screen shows, and drawn for readers without scripts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from i2i.report.run_folder import Curve, Run, count, part

MOST_POINTS = 1000
_PLAIN = {
    "fake_accuracy": ("Fake accuracy", "of the generated images"),
    "lr": ("Learning rate", ""),
    "images_per_second": ("Speed", "images per second"),
}
_APART = 30  # terms whose sizes differ by this factor are shown on a logarithmic scale
_WIDTH, _HEIGHT, _LEFT, _BELOW = 400, 200, 52, 22


class Score(NamedTuple):
    """What people call a score on held-out pairs, and which of its values is the best."""

    title: str
    unit: str
    pick: Callable[..., tuple[int, float]]


_SCORES = {
    "l1": Score("L1", "levels of 255, lower is better", min),
    "psnr": Score("PSNR", "dB, higher is better", max),
    "ssim": Score("SSIM", "1 at best", max),
}


@dataclass(frozen=True)
class Chart:
    """Curves that share an axis.

    Attributes:
        key: names the chart in the page's address.
        title: for people.
        unit: of the values, in words.
        curves: by their names.
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
    def can_log(self) -> bool:
        """Whether a logarithmic scale can show it all."""
        return self.kind == "losses" and all(v > 0 for curve in self.curves.values() for _, v in curve)

    @property
    def is_log(self) -> bool:
        """Whether terms of very different sizes call for one."""
        middles = [sorted(v for _, v in curve)[len(curve) // 2] for curve in self.curves.values()]
        return self.can_log and max(middles) > _APART * min(middles)

    def to_dict(self) -> dict[str, Any]:
        """As the page's script reads it, curves as [[steps], [values]] of five digits."""
        curves = {
            name: [[step for step, _ in curve], [float(f"{value:.5g}") for _, value in curve]]
            for name, curve in self.curves.items()
        }
        return {**vars(self), "curves": curves, "canLog": self.can_log, "log": self.is_log}


def charts_of(run: Run) -> list[Chart]:
    """Scores on held-out pairs first, then a chart for each player, then what else there is."""
    curves = {name: thinned(curve) for name, curve in run.curves.items()}
    best = best_step(run)
    scores, others = [], []
    players: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        player, slash, term = name.partition("/")
        if score := score_of(name):
            scores.append(Chart(name, score.title, score.unit, {score.title: curve}, "score", best))
        elif slash and player != "validation":
            players.setdefault(player, {})[words(term)] = curve
    for name, (title, unit) in _PLAIN.items():
        if name in curves:
            kind = {"fake_accuracy": "share", "lr": "rate"}.get(name, "speed")
            others.append(Chart(name, title, unit, {title.lower(): curves[name]}, kind))
    losses = [Chart(p, words(p).capitalize(), "losses", players[p], "losses") for p in sorted(players, reverse=True)]
    losses.sort(key=lambda chart: chart.key != "generator")
    return scores + losses + others


def score_of(name: str) -> Score | None:
    """What a curve's name says of it as a score, where it is one."""
    player, _, term = name.partition("/")
    return _SCORES.get(term, Score(words(term), "", min)) if player == "validation" and term not in ("", "n") else None


def best_step(run: Run) -> int | None:
    """The step of the best score, as the summary says it, or of the lowest L1."""
    said = count(part(run.summary, "best").get("step"))
    curve = run.curves.get("validation/l1")
    return min(curve, key=lambda point: point[1])[0] if said is None and curve else said


def last_of(run: Run, name: str) -> float | None:
    """The last value of a curve, where there is one."""
    return run.curves[name][-1][1] if name in run.curves else None


def thinned(curve: Curve, *, most: int = MOST_POINTS) -> Curve:
    """The means of as few neighbours as leave at most `most` points, each at its last neighbour's step."""
    every = -(-len(curve) // most)
    if every <= 1:
        return curve
    groups = (curve[start : start + every] for start in range(0, len(curve), every))
    return [(group[-1][0], math.fsum(value for _, value in group) / len(group)) for group in groups]


def words(name: str) -> str:
    """A name of code as people read it."""
    return name.replace("_", " ")


def drawn(chart: Chart) -> str:
    """A chart as an SVG that needs no script: its curves, and the ends of its axes."""
    curves = [thinned(curve, most=_WIDTH // 2) for curve in chart.curves.values()]
    values = [v for curve in curves for _, v in curve]
    first, last = min(curve[0][0] for curve in curves), max(curve[-1][0] for curve in curves)
    low, high = (0.0, 1.0) if chart.kind == "share" else (min(values), max(values))
    if low > 0 and (
        chart.kind in ("rate", "speed") or (chart.kind == "losses" and low < high / 2 and not chart.is_log)
    ):
        low = 0.0
    scale = math.log if chart.is_log else float
    bottom, span = scale(low), (scale(high) - scale(low)) or 1.0

    def index(step: int, value: float) -> str:
        across = (step - first) / ((last - first) or 1)
        up = (scale(value) - bottom) / span
        return f"{_LEFT + across * (_WIDTH - _LEFT - 8):.1f},{8 + (1 - up) * (_HEIGHT - _BELOW - 8):.1f}"

    lines = "".join(
        f'<polyline class="curve c{i % 8}" points="{" ".join(index(*point) for point in curve)}"/>'
        for i, curve in enumerate(curves)
    )
    floor = _HEIGHT - _BELOW
    ends = [
        (_LEFT - 6, 16, "end", f"{high:.3g}"),
        (_LEFT - 6, floor, "end", f"{low:.3g}"),
        (_LEFT, _HEIGHT - 6, "start", f"{first:,}"),
        (_WIDTH - 8, _HEIGHT - 6, "end", f"step {last:,}"),
    ]
    labels = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in ends)
    axes = f'<path class="axis" d="M{_LEFT} 8V{floor}H{_WIDTH - 8}"/>'
    about = escape(f"{chart.title} from step {first:,} to {last:,}")
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{about}">{axes}{lines}{labels}</svg>'
