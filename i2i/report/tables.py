"""The tables of a run's report, as plain values: scores, data, networks and settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from i2i.report.charts import ValidationScore, band_of, score_of
from i2i.report.commands import differ
from i2i.report.run_folder import Run, count, mapping, number


class ScoreRow(NamedTuple):
    """A validation score.

    Attributes:
        score: what it is.
        last: its last value.
        interval: the 95 % interval of the last value, if known.
        best: its best value.
        step: that of the best value.
        chosen_by: whether best.safetensors is chosen by this score.
    """

    score: ValidationScore
    last: float
    interval: tuple[float, float] | None
    best: float
    step: int
    chosen_by: bool


class Setting(NamedTuple):
    """A setting as its flag, its value and the default."""

    flag: str
    value: Any
    default: Any


class Settings(NamedTuple):
    """The settings of a run.

    Attributes:
        sections: all settings, by the titles of their sections.
        changed: those that differ from the method's defaults.
        has_defaults: whether the defaults are known.
    """

    sections: dict[str, list[Setting]]
    changed: list[Setting]
    has_defaults: bool


def scores(run: Run) -> list[ScoreRow]:
    """The validation scores; the best as the summary states it, or else the best of the curve."""
    summary, rows = mapping(run.summary, "best"), []
    for name, curve in run.curves.items():
        if (score := score_of(name, run)) is None:
            continue
        step, best = score.pick(curve, key=lambda point: point[1])
        kept_step, kept_value = count(summary.get("step")), number(summary.get("value"))
        chosen_by = summary.get("score") in (name, name.partition("/")[2])
        if chosen_by and kept_step is not None and kept_value is not None:
            step, best = kept_step, kept_value
        last_step, last = curve[-1]
        interval = next((point[1:] for point in band_of(name, run.curves) if point[0] == last_step), None)
        rows.append(ScoreRow(score, last, interval, best, step, chosen_by))
    return rows


def scored_images(run: Run) -> str:
    """How many images the scores are of, such as "50 held-out pairs"; empty if unknown."""
    n = run.curves.get("validation/n")
    number_of = _thousands(count(n[-1][1])) if n else None
    if not number_of:
        return ""
    if "validation/l1" in run.curves:
        return f"{number_of} held-out pairs"
    if "z2b" in run.generators:
        return f"{number_of} {'held-out' if run.summary.get('held_out_images') else 'training'} images"
    return f"{number_of} held-out images of each domain"


def data_facts(run: Run) -> dict[str, str]:
    """What the run trains on, as far as known."""
    facts = {
        "Domains": " → ".join(run.domains),
        "Layout": run.summary.get("layout"),
        "Training images": _thousands(count(run.summary.get("training_images"))),
        "Held-out images": _thousands(count(run.summary.get("held_out_images"))),
        "Folders": "\n".join(run.paths),
    }
    return _known(facts)


def network_facts(run: Run) -> dict[str, str]:
    """The networks and the device, as far as known."""
    generators = {run.name_of(direction): text for direction, text in generator_facts(run).items()}
    return generators | training_facts(run)


def generator_facts(run: Run) -> dict[str, str]:
    """The generators by direction: their specs and numbers of parameters."""
    parameters = mapping(run.summary, "parameters")
    facts = {}
    for direction, spec in run.generators.items():
        size = number(parameters.get(direction))
        facts[direction] = spec + (f"\n{size / 1e6:,.3g} M parameters" if size else "")
    return facts


def training_facts(run: Run) -> dict[str, str]:
    """What trains the generators: the discriminator and the device, as far as known."""
    train = mapping(run.config, "train")
    processes = count(run.summary.get("processes")) or 1
    facts = {
        "Generator": None if run.generators else train.get("generator"),
        "Discriminator": train.get("discriminator"),
        "Device": run.summary.get("device"),
        "Processes": processes if processes > 1 else None,
    }
    return _known(facts)


def settings(run: Run) -> Settings:
    """The settings of config.json, compared with the method's own defaults where the summary holds them."""
    all_defaults = mapping(run.summary, "defaults")
    titles = {"options": f"{run.method} options", "data": "Data", "train": "Training"}
    sections = {}
    changed: list[Setting] = []
    for key, title in titles.items():
        defaults = mapping(all_defaults, key)
        rows = list(_rows(mapping(run.config, key), defaults))
        changed += [row for row in rows if differ(row.value, row.default)]
        if rows:
            sections[title] = rows
    return Settings(sections, changed, bool(all_defaults))


def flag(name: str) -> str:
    """The flag of a setting: `--image-size`."""
    return f"--{name.replace('_', '-')}"


def _rows(values: dict[str, Any], defaults: dict[str, Any]) -> Iterator[Setting]:
    for name, value in values.items():
        yield Setting(flag(name), value, defaults.get(name, value))


def _known(facts: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _thousands(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"
