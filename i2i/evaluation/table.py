"""Scores as a text table."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection

from i2i.evaluation.bootstrap import Score

_WIDTH = 100


def as_table(scores: Collection[Score]) -> str:
    """A row for each score, then notes on how to read them; at most 100 columns wide."""
    rows: list[tuple[str, str, str, str]] = [
        (score.label, _number(score.value), _interval(score), score.better or "") for score in scores
    ]
    rows.insert(0, ("score", "value", "95 % interval" if any(score.interval for score in scores) else "", "better"))
    label, value, interval = (max(len(row[column]) for row in rows) for column in range(3))
    lines = [f"{a:<{label}}  {b:>{value}}  {c:<{interval}}  {d}".rstrip() for a, b, c, d in rows]
    notes = (f"{score.label}: {score.meaning}." for score in scores if score.meaning)
    wrapped = [textwrap.fill(note, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) for note in notes]
    return "\n".join([*lines, *([""] if wrapped else []), *wrapped])


def _number(value: float) -> str:
    """A number with four significant digits; a dash for NaN."""
    if not math.isfinite(value):
        return "-"
    before = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(max(3 - before, 0), 5)}f}"


def _interval(score: Score) -> str:
    return "" if score.interval is None else " to ".join(map(_number, score.interval))
