"""What a run's folder says, whatever state its files are in: what can't be read is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Curve = list[tuple[int, float]]
"""Steps, rising, each with a value."""
STATES = ("running", "finished", "stopped", "diverged")
_LARGEST = 1e100


class Warned(NamedTuple):
    """What a run warned of, and when."""

    step: int
    says: str
    advice: str


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Attributes:
        folder: as it was given.
        config: what config.json holds, or nothing.
        summary: what summary.json holds, or nothing.
        curves: the numbers of metrics.jsonl by name, such as generator/l1 or validation/psnr.
        warnings: those of metrics.jsonl in the order of their steps.
        samples: the steps of the sample grids, each with the image's address from the folder.
        changed: when metrics.jsonl was last written, or config.json, in seconds since 1970; 0 where there is neither.
    """

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    curves: Mapping[str, Curve]
    warnings: tuple[Warned, ...]
    samples: Mapping[int, str]
    changed: float

    @property
    def step(self) -> int:
        """The last step of which anything is known."""
        return max([0, *(curve[-1][0] for curve in self.curves.values()), *self.samples])

    @property
    def steps(self) -> int | None:
        """How many there will be, where it is known."""
        return count(self.summary.get("steps")) or count(part(self.config, "train").get("steps"))

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.config.get("method", "a run"))

    @property
    def state(self) -> str:
        """running, finished, stopped or diverged, or nothing where it isn't known."""
        said = self.summary.get("state")
        done = "finished" if self.steps and self.step >= self.steps else ""
        return str(said) if said in STATES else done

    @property
    def paths(self) -> tuple[str, ...]:
        """The data folders."""
        return _texts(self.config.get("paths"))

    @property
    def plugins(self) -> tuple[str, ...]:
        """The modules that the run imported."""
        return _texts(self.config.get("plugins"))

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of what you have and of what you want, or nothing."""
        data = part(self.config, "data")
        named = _texts(data.get("domains"))[:: -1 if data.get("swap") is True else 1]
        known = _texts(self.summary.get("domains")) or named
        return known if len(known) == 2 else ()


def read_run(folder: Path) -> Run:
    """Read a run's folder; nothing in it need be there, or whole."""
    metrics = folder / "metrics.jsonl"
    curves, warnings = _read_metrics(metrics)
    found = {int(path.stem): f"samples/{path.name}" for path in folder.glob("samples/*.png") if _numbered(path)}
    written = [path.stat().st_mtime for path in (metrics, folder / "config.json") if path.exists()]
    return Run(
        folder=folder,
        config=_read_object(folder / "config.json"),
        summary=_read_object(folder / "summary.json"),
        curves=curves,
        warnings=tuple(sorted(warnings, key=lambda warned: warned.step)),
        samples=dict(sorted(found.items())),
        changed=next(iter(written), 0.0),
    )


def part(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within another, or nothing."""
    inner = values.get(name)
    return inner if isinstance(inner, dict) else {}


def number(value: object) -> float | None:
    """A number that can be drawn, or None for anything else: infinities, and what would overflow when summed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def count(value: object) -> int | None:
    """A whole number from 0 on, or None for anything else."""
    read = number(value)
    return int(read) if read is not None and read >= 0 and read == int(read) else None


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _read_metrics(path: Path) -> tuple[dict[str, Curve], list[Warned]]:
    curves: dict[str, Curve] = {}
    warnings = []
    for text in _read_text(path).split("\n"):
        line = _parse(text)
        step = count(line.pop("step", None))
        if step is None:
            continue
        if "warning" in line:
            warnings.append(Warned(step, str(line["warning"]), str(line.get("advice") or "")))
            continue
        for name, value in line.items():
            if (read := number(value)) is not None:
                curves.setdefault(name, []).append((step, read))
    for curve in curves.values():
        curve.sort(key=lambda point: point[0])
    return curves, warnings


def _read_object(path: Path) -> dict[str, Any]:
    return _parse(_read_text(path))


def _read_text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _numbered(path: Path) -> bool:
    return re.fullmatch(r"[0-9]{1,15}", path.stem) is not None
