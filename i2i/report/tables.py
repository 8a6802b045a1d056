"""The lower half of the page: scores, commands, facts and settings of a run, as HTML."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html import escape
from typing import Any

from i2i.config import DataConfig, TrainConfig, to_dict
from i2i.report.charts import last_of, score_of
from i2i.report.markup import listed, section
from i2i.report.run_folder import Run, count, number, part


def scores(run: Run) -> str:
    """The last and the best scores on held-out pairs."""
    best, rows = part(run.summary, "best"), []
    for name, curve in run.curves.items():
        if (score := score_of(name)) is None:
            continue
        step, value = score.pick(curve, key=lambda point: point[1])
        kept, said = count(best.get("step")), number(best.get("value"))
        if best.get("score") in (name, name.partition("/")[2]) and kept is not None and said is not None:
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
    boxes = "".join(
        f'<div class="command"><h3>{escape(title)}</h3><pre><code>{_words(text)}</code></pre>'
        '<button type="button" class="copy scripted">copy</button></div>'
        for title, text in (*_to_use(run), *_to_train(run))
    )
    return section("commands", "Use it", boxes)


def facts(run: Run) -> str:
    """The data and the networks, side by side."""
    summary, train = run.summary, part(run.config, "train")
    sizes = (("To learn from", "training_images"), ("Held out", "held_out_images"))
    images = [(name, f"{n:,} images") for name, key in sizes if (n := count(summary.get(key))) is not None]
    data = [
        ("Domains", " → ".join(run.domains)),
        ("Layout", summary.get("layout")),
        *images,
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
    titles = {"options": f"Of {run.method}", "data": "Images", "train": "Training"}
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


def _to_use(run: Run) -> Iterator[tuple[str, str]]:
    model, best, maps = str(run.folder), run.folder / "best.safetensors", part(run.summary, "maps")
    if run.method == "gan" or "z2b" in maps:
        yield "Draw images", _typed(run, "sample", model, "samples.png")
        return
    translate = ("translate", "INPUT", "OUTPUT", "--model")
    both = run.domains if len(maps) > 1 or run.method == "cyclegan" else ()
    for domain in reversed(both):
        yield f"Translate to {domain}", _typed(run, *translate, model, "--to", domain)
    if not both:
        yield "Translate an image, a folder or a glob", _typed(run, *translate, model)
    if best.is_file():
        yield "With the model of the best step", _typed(run, *translate, str(best))
    yield "In Python", f"from i2i import translate\ntranslated = translate(image, {model!r})"
    if run.paths:
        yield "Score on held-out images", _typed(run, "evaluate", model, *run.paths)


def _to_train(run: Run) -> Iterator[tuple[str, str]]:
    told = str(run.summary.get("command") or "")
    goes_on = "--resume" in told
    if run.steps and run.step < run.steps and run.state != "finished":
        own = _typed(run, "train", run.method, *run.paths, "--run", str(run.folder), "--resume")
        yield "Go on with this run", told if goes_on else own
    again = _from_the_start(run) if goes_on or not told else told
    if again:
        yield "Train like this again", again


def _typed(run: Run, *words: str) -> str:
    return shlex.join(["i2i", *words, *(word for module in run.plugins for word in ("--import", module))])


def _from_the_start(run: Run) -> str:
    """The command of a run like this one, or nothing where the method's own defaults aren't told."""
    flags = []
    for key, defaults in part(run.summary, "defaults").items():
        for name, value in part(run.config, key).items():
            flag = name.replace("_", "-")
            if (
                not isinstance(defaults, dict)
                or name not in defaults
                or json.dumps(value) == json.dumps(defaults[name])
            ):
                continue
            if isinstance(value, bool):
                flags.append(f"--{flag}" if value else f"--no-{flag}")
            elif value is not None:
                flags += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return _typed(run, "train", run.method, *run.paths, *flags) if run.paths and "defaults" in run.summary else ""


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
