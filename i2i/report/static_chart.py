"""A chart as an SVG drawing that needs no script: for readers without JavaScript."""

from __future__ import annotations

import math
from typing import NamedTuple

from i2i.report.charts import Chart, thinned
from i2i.report.run_folder import Curve

WIDTH, HEIGHT = 600, 200
_MOST_POINTS = 150


class StaticChart(NamedTuple):
    """The curves of a chart as paths in a box of `WIDTH` x `HEIGHT`, and what its edges stand for."""

    paths: dict[str, str]
    low: float
    high: float
    first: int
    last: int


def static_chart(chart: Chart) -> StaticChart:
    """Draw all curves of a chart between the lowest and the highest of their values."""
    curves = {name: thinned(curve, most=_MOST_POINTS) for name, curve in chart.curves.items()}
    steps = [step for curve in curves.values() for step, _ in curve]
    values = [value for curve in curves.values() for _, value in curve]
    low, high = (0.0, 1.0) if chart.kind == "share" else (min(values), max(values))
    first, last = min(steps), max(steps)
    scale = math.log if chart.is_log else float
    bottom, top = scale(low), scale(high)

    def point(step: int, value: float) -> str:
        x = (step - first) / ((last - first) or 1)
        y = (scale(value) - bottom) / (top - bottom) if top > bottom else 0.5
        return f"{x * WIDTH:.1f} {(1 - y) * HEIGHT:.1f}"

    def path(curve: Curve) -> str:
        # A line of no length, with round ends, makes a single value a dot.
        points = [point(*pair) for pair in curve]
        return "M" + "L".join(points if len(points) > 1 else points * 2)

    return StaticChart({name: path(curve) for name, curve in curves.items()}, low, high, first, last)
