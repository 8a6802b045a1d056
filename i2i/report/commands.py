"""The commands that a run's report offers: use the model, resume the run, train again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from i2i.report.run_folder import Run, mapping


class Command(NamedTuple):
    """A command to copy, and what it does."""

    title: str
    text: str


def commands(run: Run) -> list[Command]:
    """Commands that use the model, then those that train."""
    return [*_use(run), *_train(run)]


def _use(run: Run) -> Iterator[Command]:
    model, best = str(run.folder), run.folder / "best.safetensors"
    if "z2b" in run.generators:
        yield Command("Sample images", _typed(run, "sample", model, "samples.png"))
        return
    translate = ("translate", "INPUT", "OUTPUT", "--model")
    if len(run.generators) > 1 and run.domains:
        for domain in reversed(run.domains):
            yield Command(f"Translate to {domain}", _typed(run, *translate, model, "--to", domain))
    else:
        yield Command("Translate an image, a folder or a glob", _typed(run, *translate, model))
    if best.is_file():
        yield Command("Translate with the best model in validation", _typed(run, *translate, str(best)))
    yield Command("In Python", f"from i2i import translate\ntranslated = translate(image, {model!r})")
    if run.paths:
        yield Command("Evaluate on held-out images", _typed(run, "evaluate", model, *run.paths))


def _train(run: Run) -> Iterator[Command]:
    command = str(run.summary.get("command") or "")
    resumes = "--resume" in command
    if run.steps and run.step < run.steps and run.state != "finished":
        resume = _typed(run, "train", run.method, *run.paths, "--run", str(run.folder), "--resume")
        yield Command("Resume this run", command if resumes else resume)
    again = _from_start(run) if resumes or not command else command
    if again:
        yield Command("Train again with these settings", again)


def _typed(run: Run, *words: str) -> str:
    return shlex.join(["i2i", *words, *(word for module in run.plugins for word in ("--import", module))])


def _from_start(run: Run) -> str:
    """The command that trains with the settings of this run; empty if the method's defaults are unknown."""
    if not run.paths or "defaults" not in run.summary:
        return ""
    flags: list[str] = []
    for section, defaults in mapping(run.summary, "defaults").items():
        for name, value in mapping(run.config, section).items():
            if isinstance(defaults, dict) and name in defaults and differ(value, defaults[name]):
                flags += _flags(name.replace("_", "-"), value)
    return _typed(run, "train", run.method, *run.paths, *flags)


def differ(value: Any, default: Any) -> bool:
    """Whether two values of JSON differ; 1, 1.0 and true are different."""
    return json.dumps(value) != json.dumps(default)


def _flags(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
