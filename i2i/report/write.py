"""Write report.html: page.html, a Jinja template, filled with what a run's folder holds, its style and its script."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from i2i.files import write_whole
from i2i.report.charts import best_step, charts_of
from i2i.report.commands import commands
from i2i.report.grids import png_size
from i2i.report.rendering import render
from i2i.report.run_folder import Run, read_run
from i2i.report.tables import data_facts, network_facts, scored_images, scores, settings
from i2i.report.timing import timing


def write_page(folder: Path) -> None:
    """Write report.html into a run's folder.

    The file holds everything but the sample grids, which it loads from samples/ beside it: they would make it large,
    and it is rewritten with each of them. So share the page together with that folder. Files of the run that are
    missing, torn or malformed leave parts of the page empty.

    Args:
        folder: the run's folder, written as the commands on the page should name it.

    Raises:
        OSError: the folder can't be read or written; an earlier page is untouched.
    """
    write_whole(folder / "report.html", render("page.html", _context(read_run(folder))))


def _context(run: Run) -> dict[str, Any]:
    charts = charts_of({run.name: run})
    return {
        "run": run,
        "timing": timing(run),
        "updated": datetime.fromtimestamp(run.updated, timezone.utc) if run.updated else None,
        "best_step": best_step(run),
        "warnings": _grouped_warnings(run),
        "grid_size": png_size(run.folder / list(run.samples.values())[-1]) if run.samples else None,
        "charts": charts,
        "scores": scores(run),
        "scored_images": scored_images(run),
        "commands": commands(run),
        "facts": {"Data": data_facts(run), "Networks": network_facts(run)},
        "settings": settings(run),
        "data": {
            "charts": [chart.to_dict() for chart in charts],
            "samples": list(run.samples.items()),
            "warnings": sorted({warning.step for warning in run.warnings}),
            "running": run.state == "running",
        },
    }


def _grouped_warnings(run: Run) -> list[tuple[str, str, list[int]]]:
    """Each message once, with its advice and its steps; the latest first."""
    steps: dict[tuple[str, str], list[int]] = {}
    for step, message, advice in reversed(run.warnings):
        steps.setdefault((message, advice), []).append(step)
    return [(*warning, given) for warning, given in steps.items()]
