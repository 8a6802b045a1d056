"""The tables of a comparison: facts, settings that differ and scores, a row each, with a cell for each run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from i2i.report.charts import ValidationScore
from i2i.report.rendering import duration
from i2i.report.run_folder import Run, count, mapping
from i2i.report.tables import ScoreRow, data_facts, flag, generator_facts, scores, training_facts
from i2i.report.timing import timing


class Cell(NamedTuple):
    """What a run has in a row; where it has nothing, there is no cell."""

    value: Any
    note: str = ""
    is_best: bool = False


class Row(NamedTuple):
    """A row of a table, with a cell for each run."""

    title: str
    cells: list[Cell | None]
    unit: str = ""


def fact_rows(runs: Sequence[Run]) -> list[Row]:
    """What each run is: its state, length, networks, device and data."""
    return _rows([_facts(run) for run in runs])


def setting_rows(runs: Sequence[Run]) -> list[Row]:
    """The settings that are not the same in all runs; a method's own are missing from runs of other methods."""
    return [row for row in _rows([_settings(run) for run in runs]) if _differs(row)]


def score_rows(runs: Sequence[Run]) -> list[Row]:
    """The last and the best value of each validation score, and the number of held-out pairs they are of.

    The best value of a row is marked, or several that are equal, if it is known whether lower or higher is better.
    """
    by_run = [{row.score: row for row in scores(run)} for run in runs]
    rows: list[Row] = []
    for score in dict.fromkeys(score for found in by_run for score in found):
        found = [scored.get(score) for scored in by_run]
        title = f"{score.title}, {score.direction}" if score.direction else score.title
        rows.append(_score_row(f"{title}, last", score, found, lambda row: row.last))
        rows.append(_score_row(f"{title}, best", score, found, lambda row: row.best, lambda row: row.step))
    pairs = [run.curves.get("validation/n") for run in runs]
    if any(pairs):
        rows.append(Row("Held-out images", [Cell(count(curve[-1][1])) if curve else None for curve in pairs]))
    return rows


def _rows(columns: Sequence[Sequence[Mapping[str, Any]]]) -> list[Row]:
    """A row for each title, from the sections of each run; a section's titles stay together."""
    rows = []
    for sections in zip(*columns, strict=True):
        titles = dict.fromkeys(title for section in sections for title in section)
        rows += [Row(title, [Cell(s[title]) if title in s else None for s in sections]) for title in titles]
    return rows


def _differs(row: Row) -> bool:
    values = {None if cell is None else json.dumps(cell.value) for cell in row.cells}
    return len(values) > 1


def _facts(run: Run) -> list[dict[str, str]]:
    timed = timing(run)
    progress = {
        "Method": run.method,
        "State": run.state,
        "Steps": run.progress,
        "Training time": duration(timed.trained) if timed else "",
        "Images per second": f"{timed.speed:.3g}" if timed else "",
        "Last update": f"{datetime.fromtimestamp(run.updated, timezone.utc):%Y-%m-%d %H:%M} UTC" if run.updated else "",
    }
    generators = {f"Generator {direction}": text for direction, text in generator_facts(run).items()}
    known = {title: text for title, text in progress.items() if text}
    return [known, generators, training_facts(run), data_facts(run), {"Run folder": str(run.folder)}]


def _settings(run: Run) -> list[dict[str, Any]]:
    """All settings of config.json, by their flags."""
    config = run.config
    sections = [mapping(config, name) for name in ("options", "data", "train")]
    flags = [{flag(name): value for name, value in section.items()} for section in sections]
    names = {"method": "METHOD", "paths": "DATA", "plugins": "--import", "made_by": "written by"}
    return [{title: config[name] for name, title in names.items() if name in config}, *flags]


def _score_row(
    title: str,
    score: ValidationScore,
    found: Sequence[ScoreRow | None],
    value: Callable[[ScoreRow], float],
    step: Callable[[ScoreRow], int] | None = None,
) -> Row:
    values = [value(row) for row in found if row]
    best = score.pick(values) if score.unit and len(values) > 1 else None
    cells = [
        Cell(f"{value(row):,.4g}", f"step {step(row):,}" if step else "", value(row) == best) if row else None
        for row in found
    ]
    return Row(title, cells, score.unit)
