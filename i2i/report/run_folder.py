"""Read a run's folder; files that are missing or damaged are left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Curve = list[tuple[int, float]]
"""Values by step, in rising order of steps."""
STATES = ("running", "finished", "stopped", "diverged", "failed")
_LARGEST = 1e100


class RunWarning(NamedTuple):
    """A warning from the diagnostics, and the step at which it was given."""

    step: int
    message: str
    advice: str


@dataclass(frozen=True)
class Run:
    """The contents of a run's folder.

    Attributes:
        folder: the path, as given.
        config: contents of config.json, or empty.
        summary: contents of summary.json, or empty.
        curves: the numbers of metrics.jsonl by name, such as generator/l1 or validation/psnr.
        warnings: the warnings of metrics.jsonl, in order of their steps.
        samples: the sample grids: step to path, relative to the folder.
        updated: when metrics.jsonl, or else config.json, was last written, in seconds since 1970; 0 if unknown.
    """

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    curves: Mapping[str, Curve]
    warnings: tuple[RunWarning, ...]
    samples: Mapping[int, str]
    updated: float

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.resolve().name

    @property
    def step(self) -> int:
        """The last step found in the metrics or sample grids."""
        return max([0, *(curve[-1][0] for curve in self.curves.values()), *self.samples])

    @property
    def steps(self) -> int | None:
        """The planned number of steps, if known."""
        return count(self.summary.get("steps")) or count(mapping(self.config, "train").get("steps"))

    @property
    def batch_size(self) -> int:
        """Images per step; 1 if unknown."""
        return count(mapping(self.config, "train").get("batch_size")) or 1

    @property
    def progress(self) -> str:
        """The steps done, of those planned if known: `300 of 400`."""
        return f"{self.step:,} of {self.steps:,}" if self.steps else f"{self.step:,}"

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.config.get("method", "a run"))

    @property
    def state(self) -> str:
        """running, finished, stopped or diverged; empty if unknown."""
        state = self.summary.get("state")
        done = "finished" if self.steps and self.step >= self.steps else ""
        return str(state) if state in STATES else done

    @property
    def paths(self) -> tuple[str, ...]:
        """The data folders."""
        return _strings(self.config.get("paths"))

    @property
    def plugins(self) -> tuple[str, ...]:
        """The modules that the run imported."""
        return _strings(self.config.get("plugins"))

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the input and the target domain; empty if unknown."""
        data = mapping(self.config, "data")
        configured = _strings(data.get("domains"))[:: -1 if data.get("swap") is True else 1]
        domains = _strings(self.summary.get("domains")) or configured
        return domains if len(domains) == 2 else ()

    @property
    def generators(self) -> dict[str, str]:
        """The specs of the generators by direction: a2b, b2a, or z2b from a latent; empty if unknown."""
        return {direction: str(spec) for direction, spec in mapping(self.summary, "maps").items()}

    def name_of(self, direction: str) -> str:
        """The domains between which a generator such as a2b translates."""
        names: dict[str, str] = dict(zip("ab", self.domains, strict=False)) | {"z": "latent"}
        ends = [names.get(letter) for letter in direction.split("2")]
        return " → ".join(map(str, ends)) if len(ends) == 2 and all(ends) else direction


def is_run(folder: Path) -> bool:
    """Whether a folder holds the settings or the metrics of a run."""
    return (folder / "metrics.jsonl").is_file() or "method" in _parse(_read_text(folder / "config.json"))


def read_run(folder: Path) -> Run:
    """Read a run's folder; every file may be missing or torn."""
    metrics = folder / "metrics.jsonl"
    curves, warnings = _read_metrics(metrics)
    samples = {int(path.stem): f"samples/{path.name}" for path in folder.glob("samples/*.png") if _is_numbered(path)}
    written = [path.stat().st_mtime for path in (metrics, folder / "config.json") if path.exists()]
    return Run(
        folder=folder,
        config=_parse(_read_text(folder / "config.json")),
        summary=_parse(_read_text(folder / "summary.json")),
        curves=curves,
        warnings=tuple(sorted(warnings, key=lambda warning: warning.step)),
        samples=dict(sorted(samples.items())),
        updated=next(iter(written), 0.0),
    )


def mapping(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A nested object; empty if it is missing or something else."""
    inner = values.get(name)
    return inner if isinstance(inner, dict) else {}


def number(value: object) -> float | None:
    """A number that can be drawn; None for anything else, infinities and what would overflow in a sum included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def count(value: object) -> int | None:
    """A non-negative integer; None for anything else."""
    parsed = number(value)
    return int(parsed) if parsed is not None and parsed >= 0 and parsed == int(parsed) else None


def _strings(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _read_metrics(path: Path) -> tuple[dict[str, Curve], list[RunWarning]]:
    curves: dict[str, Curve] = {}
    warnings = []
    for text in _read_text(path).split("\n"):
        line = _parse(text)
        step = count(line.pop("step", None))
        if step is None:
            continue
        if "warning" in line:
            warnings.append(RunWarning(step, str(line["warning"]), str(line.get("advice") or "")))
            continue
        for name, value in line.items():
            if (parsed := number(value)) is not None:
                curves.setdefault(name, []).append((step, parsed))
    for curve in curves.values():
        curve.sort(key=lambda point: point[0])
    return curves, warnings


def _read_text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_numbered(path: Path) -> bool:
    return re.fullmatch(r"[0-9]{1,15}", path.stem) is not None
