"""Write a page that compares runs: their curves, sample grids, scores and settings in one file that opens from disk."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from i2i.errors import UsageError, setting
from i2i.files import write_whole
from i2i.report.charts import charts_of
from i2i.report.comparison_tables import fact_rows, score_rows, setting_rows
from i2i.report.grids import embedded_grids
from i2i.report.rendering import render
from i2i.report.run_folder import Run, is_run, read_run
from i2i.report.tables import scores

_MARK = b'<meta name="generator" content="i2i comparison">'  # in comparison.html
_MOST_LISTED = 10


def write_comparison(folders: Sequence[Path], output: Path, *, overwrite: bool = False) -> None:
    """Write a page that compares runs, whatever their methods, data and lengths.

    The file holds everything, the sample grids included. It shows the runs as they are now: one that still trains
    has a curve up to its last step.

    Args:
        folders: the folders of two runs or more.
        output: the page; a comparison that is there is replaced.
        overwrite: replace any file.

    Raises:
        UsageError: a folder is no run's or is given twice, or another file would be replaced.
        OSError: a folder can't be read or the page can't be written; an earlier page is untouched.
    """
    require_runs(folders)
    if output.is_dir():
        raise UsageError(
            f"{setting('output', output)} is a folder; give a file: {setting('output', output / 'comparison.html')}"
        )
    if output.exists() and not overwrite and not is_comparison(output):
        raise UsageError(
            f"{output} exists and is no comparison of runs; give another {setting('output')}, or {setting('overwrite')}"
        )
    write_whole(output, render("comparison.html", _context([read_run(folder) for folder in folders], output)))


def is_comparison(path: Path) -> bool:
    """Whether a file is a page that `write_comparison` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK in file.read(1000)


def require_runs(folders: Sequence[Path]) -> None:
    """Refuse what isn't a run's folder, or is given twice.

    Raises:
        UsageError: naming the folder, and what to give.
    """
    seen: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(_not_a_folder(folder))
        if not is_run(folder):
            raise UsageError(f"{folder} holds no run: no metrics.jsonl or config.json of one; {_runs_in(folder)}")
        same = seen.setdefault(folder.resolve(), folder)
        if same is not folder:
            also = "" if same == folder else f", also as {same}"
            raise UsageError(f"{folder} is given twice{also}; give each run once")


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Name each folder by the end of its path, as much of it as tells it from the others."""
    paths = [folder.resolve().parts for folder in folders]
    names = []
    for path in paths:
        length = 1
        while sum(other[-length:] == path[-length:] for other in paths) > 1 and length < len(path):
            length += 1
        names.append(str(Path(*path[-length:])))
    return names


def _not_a_folder(path: Path) -> str:
    if path.is_file() and is_run(path.parent):
        return f"{path} is a file; give the folder of the run: {path.parent}"
    what = "is a file" if path.exists() else "doesn't exist"
    if path.suffix == ".html":
        return f"{path} {what}; for the name of the page: {setting('output', path)}"
    return f"{path} {what}; give folders of runs, such as runs/maps"


def _runs_in(folder: Path) -> str:
    """What to type instead of a folder that holds no run."""
    runs = sorted(str(inner) for inner in folder.iterdir() if inner.is_dir() and is_run(inner))
    if not runs:
        return "give folders that i2i train wrote"
    more = f", and {len(runs) - _MOST_LISTED} more" if len(runs) > _MOST_LISTED else ""
    return f"give runs in it: i2i report {shlex.join(runs[:_MOST_LISTED])}{more}"


def _context(runs: Sequence[Run], output: Path) -> dict[str, Any]:
    names = distinct_names([run.folder for run in runs])
    charts = charts_of(dict(zip(names, runs, strict=True)))
    grids = embedded_grids(runs)
    return {
        "names": names,
        "running": [name for name, run in zip(names, runs, strict=True) if run.state == "running"],
        "written": datetime.now(timezone.utc),
        "command": shlex.join(["i2i", "report", *(str(run.folder) for run in runs), "--output", str(output)]),
        "facts": fact_rows(runs),
        "settings": setting_rows(runs),
        "scores": score_rows(runs),
        "same_data": len({run.paths for run in runs if scores(run)}) <= 1,
        "grids": grids,
        "charts": charts,
        "data": {
            "names": names,
            "charts": [chart.to_dict() for chart in charts],
            "samples": [[step] for step in grids.steps],
            "warnings": [],
            "running": False,
        },
    }
