"""The lower half of the page: scores, commands, facts and settings of a run, as HTML."""

from __future__ import annotations

import json
import re
import shlex
from html import escape
from typing import Any

from i2i.config import DataConfig, TrainConfig, to_dict
from i2i.page.charts import last_of, score_of
from i2i.page.markup import listed, section
from i2i.page.reading import Run, count, number, part


def scores(run: Run) -> str:
    """The last and the best scores on held-out pairs."""
    best, rows = part(run.summary, "best"), []
    for name, curve in run.curves.items():
        if (score := score_of(name)) is None:
            continue
        step, value = score.pick(curve, key=lambda point: point[1])
        kept, said = count(best.get("step")), number(best.get("value"))
        if best.get("score") == name and kept is not None and said is not None:
            step, value = kept, said
        numbers = f"<td>{curve[-1][1]:,.4g}</td><td>{value:,.4g}</td><td>{step:,}</td>"
        rows.append(f"<tr><th>{escape(score.title)} <small>{escape(score.unit)}</small></th>{numbers}</tr>")
    if not rows:
        return ""
    pairs = count(last_of(run, "validation/n"))
    on = f"<p>On {pairs:,} held-out pairs.</p>" if pairs else ""
    head = "<tr><th></th><th>last</th><th>best</th><th>best at step</th></tr>"
    return section("scores", "Scores", f'{on}<table class="numbers"><thead>{head}</thead>{"".join(rows)}</table>')


def commands(run: Run) -> str:
    """What to type to use the model, to go on with the run and to do it again."""
    model = str(run.folder)
    maps = part(run.summary, "maps")
    plugins = [word for module in run.plugins for word in ("--import", module)]
    typed: list[tuple[str, str]] = []
    if run.method == "gan" or "z2b" in maps:
        typed.append(("Draw pictures", shlex.join(["i2i", "sample", model, "samples.png", *plugins])))
    else:
        translate = ["i2i", "translate", "INPUT", "OUTPUT", "--model", model, *plugins]
        both = run.domains if len(maps) > 1 or run.method == "cyclegan" else ()
        typed += [(f"Translate to {domain}", shlex.join([*translate, "--to", domain])) for domain in reversed(both)]
        if not both:
            typed.append(("Translate a picture, a folder or a glob", shlex.join(translate)))
        typed.append(("In Python", f"from i2i import translate\ntranslated = translate(picture, {model!r})"))
    if run.paths and any(map(score_of, run.curves)):
        typed.append(("Score on held-out pairs", shlex.join(["i2i", "evaluate", model, *run.paths, *plugins])))
    if run.steps and run.step < run.steps and run.state != "running":
        go_on = ["i2i", "train", run.method, *run.paths, "--run", model, "--resume", *plugins]
        typed.append(("Go on with this run", shlex.join(go_on)))
    if command := run.summary.get("command"):
        typed.append(("Train again from the start, in a folder of its own", str(command)))
    boxes = "".join(
        f'<div class="command"><h3>{escape(title)}</h3><pre><code>{_words(text)}</code></pre>'
        '<button type="button" class="copy scripted">copy</button></div>'
        for title, text in typed
    )
    return section("commands", "Use it", boxes)


def facts(run: Run) -> str:
    """The data and the networks, side by side."""
    summary, train = run.summary, part(run.config, "train")
    sizes = (("To learn from", "training_pictures"), ("Held out", "held_out_pictures"))
    pictures = [(name, f"{n:,} pictures") for name, key in sizes if (n := count(summary.get(key))) is not None]
    data = [
        ("Domains", " → ".join(run.domains)),
        ("Layout", summary.get("layout")),
        *pictures,
        ("Folders", "\n".join(run.paths)),
    ]
    parameters = part(summary, "parameters")
    networks: list[tuple[str, object]] = []
    for direction, spec in part(summary, "maps").items():
        size = number(parameters.get(direction))
        networks.append((_between(direction, run), f"{spec}" + (f"\n{size / 1e6:,.3g} M parameters" if size else "")))
    names = ("discriminator",) if networks else ("generator", "discriminator")
    networks += [(name.capitalize(), train.get(name)) for name in names]
    networks.append(("Device", summary.get("device")))
    if (processes := count(summary.get("processes")) or 1) > 1:
        networks.append(("Processes", str(processes)))
    return f'<div class="pair">{listed("data", "Data", data)}{listed("networks", "Networks", networks)}</div>'


def settings(run: Run) -> str:
    """Those that differ from the defaults, then all of them by section.

    The defaults are the method's own where the summary tells them, else those that all methods share; of a method's
    options there are none then.
    """
    shared = {"options": {}, "data": to_dict(DataConfig()), "train": to_dict(TrainConfig())}
    told = part(run.summary, "defaults")
    titles = {"options": f"Of {run.method}", "data": "Pictures", "train": "Training"}
    changed, folded = [], []
    for key, title in titles.items():
        values, defaults = part(run.config, key), part(told, key) or shared[key]
        rows = [f"<tr><th>{_flag(name)}</th><td>{_shown(value)}</td></tr>" for name, value in values.items()]
        changed += [
            f"<tr><th>{_flag(name)}</th><td>{_shown(value)}</td><td>{_shown(defaults[name])}</td></tr>"
            for name, value in values.items()
            if name in defaults and json.dumps(value) != json.dumps(defaults[name])
        ]
        if rows:
            folded.append(f"<details><summary>{escape(title)}</summary><table>{''.join(rows)}</table></details>")
    if not folded:
        return ""
    head = "<thead><tr><th>changed</th><th>here</th><th>default</th></tr></thead>"
    table = f"<table>{head}{''.join(changed)}</table>" if changed else "<p>All as by default.</p>"
    return section("settings", "Settings", table + "".join(folded))


def _between(direction: str, run: Run) -> str:
    """The domains that a network such as a2b leads from and to."""
    names: dict[str, str] = dict(zip("ab", run.domains, strict=False)) | {"z": "latent"}
    ends = [names.get(letter) for letter in direction.split("2")]
    return " → ".join(map(str, ends)) if len(ends) == 2 and all(ends) else direction


def _words(command: str) -> str:
    """A command whose lines break between words alone, not at the hyphens of flags."""
    return re.sub(r"\S+", lambda word: f"<span>{escape(word[0])}</span>", command)


def _flag(name: str) -> str:
    return f"<code>--{escape(name.replace('_', '-'))}</code>"


def _shown(value: Any) -> str:
    if value is None or value == []:
        return f'<span class="none">{"not given" if value is None else "none"}</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(" ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
