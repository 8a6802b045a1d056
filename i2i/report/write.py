"""The page: its upper half as HTML, and all of it put into page.html with its style and script."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from html import escape
from pathlib import Path
from string import Template

from i2i.files import write_whole
from i2i.report.charts import Chart, best_step, charts_of, drawn
from i2i.report.markup import duration, moment, section
from i2i.report.run_folder import Curve, Run, count, part, read_run
from i2i.report.tables import commands, facts, scores, settings

_HERE = Path(__file__).parent
_WARNINGS_SHOWN = 3


def write_page(folder: Path) -> None:
    """Write report.html into a run's folder, from what lies there.

    The file holds everything but the sample grids, which it shows from samples/ beside it: they would make it large,
    and it is written anew at each of them. So share the page with that folder. Files of the run that are missing, torn
    or odd leave parts of the page empty.

    Args:
        folder: the run's folder, written as the commands on the page should name it.

    Raises:
        OSError: the folder can't be read or written; an earlier page is untouched.
    """
    run = read_run(folder)
    charts = charts_of(run)
    upper = (_header(run), _warnings(run), _samples(run), _curves(charts))
    lower = (scores(run), commands(run), facts(run), settings(run), _footer(run))
    script = (_HERE / "page.js").read_text("utf-8")
    page = Template((_HERE / "page.html").read_text("utf-8")).substitute(
        title=escape(f"{folder.resolve().name}: {run.method}"),
        style=(_HERE / "page.css").read_text("utf-8"),
        script=script,
        # The browser runs no other script, whatever texts of the run may hold.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        body="\n".join(upper + lower),
        data=_for_script(run, charts),
    )
    write_whole(folder / "report.html", page.encode("utf-8", "replace"))


def _for_script(run: Run, charts: list[Chart]) -> str:
    data = {
        "charts": [chart.to_dict() for chart in charts],
        "samples": list(run.samples.items()),
        "warnings": sorted({warned.step for warned in run.warnings}),
        "running": run.state == "running",
    }
    # No text in it can end the element that holds it.
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _header(run: Run) -> str:
    state = f'<p class="state {run.state}">{run.state}</p>' if run.state else ""
    way = f": {' → '.join(map(escape, run.domains))}" if run.domains else ""
    of = f" <small>of {run.steps:,}</small>" if run.steps else ""
    tiles = [("step", f"{run.step:,}{of}")]
    if speeds := run.curves.get("images_per_second"):
        each = count(part(run.config, "train").get("batch_size")) or 1
        recent = [value for _, value in speeds[-10:]]
        speed = sum(recent) / len(recent)
        tiles += [("images per second", f"{speed:.3g}"), ("trained for", duration(_seconds(speeds, each)))]
        if run.steps and run.step < run.steps and speed > 0:
            left = duration((run.steps - run.step) * each / speed)
            tiles.append(("time left" if run.state == "running" else "would still take", left))
    if (best := best_step(run)) is not None:
        tiles.append(("best step", f"{best:,}"))
    if run.changed:
        tiles.append(("last change", moment(run.changed)))
    bar = f'<progress max="{run.steps}" value="{run.step}" aria-label="steps done"></progress>' if run.steps else ""
    told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return (
        f"<header><div><h1>{escape(run.method)}{way}</h1>{state}</div>"
        f'<p class="path">{escape(str(run.folder))}</p>{bar}<dl class="tiles">{told}</dl></header>'
    )


def _seconds(speeds: Curve, each: int) -> float:
    """The time that steps of `each` so many images took, by the speeds noted of them; pauses are left out."""
    ends = [0, *(step for step, _ in speeds)]
    return sum((step - begin) * each / speed for begin, (step, speed) in zip(ends, speeds, strict=False) if speed > 0)


def _warnings(run: Run) -> str:
    """The latest first, each once."""
    seen: dict[tuple[str, str], list[int]] = {}
    for step, says, advice in reversed(run.warnings):
        seen.setdefault((says, advice), []).append(step)
    items = []
    for (says, advice), steps in seen.items():
        when = f"step {steps[0]:,}" + (f", {len(steps)} times since step {steps[-1]:,}" if len(steps) > 1 else "")
        tip = f'<p class="advice">{escape(advice)}</p>' if advice else ""
        items.append(f'<li><span class="when">{when}</span><p>{escape(says)}</p>{tip}</li>')
    if not items:
        return ""
    shown, rest = items[:_WARNINGS_SHOWN], items[_WARNINGS_SHOWN:]
    more = f"<details><summary>{len(rest)} earlier</summary><ul>{''.join(rest)}</ul></details>" if rest else ""
    return f'<section class="warnings" aria-label="Warnings"><h2>Warnings</h2><ul>{"".join(shown)}</ul>{more}</section>'


def _samples(run: Run) -> str:
    """The last sample grid, and what leads to the others."""
    if not run.samples:
        return section("samples", "Images", '<p class="none">No sample grid yet.</p>')
    total, (step, address) = len(run.samples), list(run.samples.items())[-1]
    size = _png_size(run.folder / address)
    room = f' width="{size[0]}" height="{size[1]}"' if size else ""
    links = " ".join(f'<a href="{index}">{one:,}</a>' for one, index in run.samples.items())
    return section(
        "samples",
        "Images",
        f'<figure><a id="full" href="{address}"><img id="grid" src="{address}"{room} alt="sample grid of step {step}">'
        f'</a><figcaption>step <output id="shown">{step:,}</output></figcaption></figure><div class="player scripted">'
        '<button type="button" id="play" aria-label="play">▶</button><input type="range" id="slider" min="0"'
        f' max="{total - 1}" value="{total - 1}" aria-label="step of the images">'
        f"<span>{total} of {total}</span></div><noscript><p>All grids: {links}</p></noscript>",
    )


def _curves(charts: list[Chart]) -> str:
    """A place for each chart, which the script fills; where there is none it is drawn already."""
    if not charts:
        return section("curves", "Curves", '<p class="none">No metrics yet.</p>')
    rows: dict[str, list[str]] = {"scores": [], "losses": [], "others": []}
    for index, chart in enumerate(charts):
        names = "".join(
            f'<li class="c{i % 8}">{escape(name)} <b>{curve[-1][1]:.4g}</b></li>'
            for i, (name, curve) in enumerate(chart.curves.items())
        )
        unit = f" <small>{escape(chart.unit)}</small>" if chart.unit else ""
        rows[{"score": "scores", "losses": "losses"}.get(chart.kind, "others")].append(
            f'<article class="chart" id="chart{index}"><h3>{escape(chart.title)}{unit}</h3><noscript>{drawn(chart)}'
            f'<ul class="legend">{names}</ul></noscript></article>'
        )
    boxes = "".join(f'<div class="charts {row}">{"".join(shown)}</div>' for row, shown in rows.items() if shown)
    return section(
        "curves",
        "Curves",
        '<p class="controls scripted"><label>smoothing <input type="range" id="smooth" min="0" max="0.98" step="0.02">'
        f"</label> <span>point at a curve for its values; click to see the images of that step</span></p>{boxes}",
    )


def _footer(run: Run) -> str:
    by = f" by {escape(str(run.config['made_by']))}" if run.config.get("made_by") else ""
    follow = '<label class="scripted" id="follow" hidden><input type="checkbox"> reload every minute</label>'
    return f"<footer><span>Written{by}. The images lie beside this file, in samples/.</span>{follow}</footer>"


def _png_size(path: Path) -> tuple[int, int] | None:
    """Width and height, from the first bytes of the file."""
    head = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:], "big")
