"""Write report.html: page.html, a Jinja template, filled with what a run's folder holds, its style and its script."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from i2i.files import write_whole
from i2i.report.charts import best_step, charts_of
from i2i.report.commands import commands
from i2i.report.run_folder import Run, read_run
from i2i.report.tables import data_facts, network_facts, scored_images, scores, settings

_HERE = Path(__file__).parent
_CENTURY = 3.2e9  # in seconds


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
    page = _environment().get_template("page.html").render(_context(read_run(folder)))
    write_whole(folder / "report.html", page.encode("utf-8", "replace"))


def duration(seconds: float) -> str:
    """A human-readable duration: `29 s`, `1 h 30 min`, `1 d 1 h`."""
    minutes = round(min(seconds, _CENTURY) / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, days = minutes // 60, minutes // (24 * 60)
    return f"{days:,} d {hours % 24} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = duration
    # Not sorted: the order of a chart's curves is that of the legend.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _context(run: Run) -> dict[str, Any]:
    charts, script = charts_of(run), (_HERE / "page.js").read_text("utf-8")
    return {
        "run": run,
        "name": run.folder.resolve().name,
        "style": Markup((_HERE / "page.css").read_text("utf-8")),
        "script": Markup(script),
        # The browser runs no other script, whatever strings of the run may hold.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "timing": _timing(run),
        "updated": datetime.fromtimestamp(run.updated, timezone.utc) if run.updated else None,
        "best_step": best_step(run),
        "warnings": _grouped_warnings(run),
        "grid_size": _png_size(run.folder / list(run.samples.values())[-1]) if run.samples else None,
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


class _Timing(NamedTuple):
    speed: float  # recent, in images per second
    trained: float  # in seconds, pauses left out
    left: float  # in seconds; 0 when finished or unknown


def _timing(run: Run) -> _Timing | None:
    speeds = run.curves.get("images_per_second")
    if not speeds:
        return None
    recent = [value for _, value in speeds[-10:]]
    speed = sum(recent) / len(recent)
    starts = [0, *(step for step, _ in speeds)]
    intervals = zip(starts, speeds, strict=False)
    trained = sum((step - start) * run.batch_size / value for start, (step, value) in intervals if value > 0)
    left = max((run.steps or 0) - run.step, 0) * run.batch_size / speed if speed > 0 else 0
    return _Timing(speed, trained, left)


def _grouped_warnings(run: Run) -> list[tuple[str, str, list[int]]]:
    """Each message once, with its advice and its steps; the latest first."""
    steps: dict[tuple[str, str], list[int]] = {}
    for step, message, advice in reversed(run.warnings):
        steps.setdefault((message, advice), []).append(step)
    return [(*warning, given) for warning, given in steps.items()]


def _png_size(path: Path) -> tuple[int, int] | None:
    """Width and height, from the first bytes of the file."""
    head = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:], "big")
