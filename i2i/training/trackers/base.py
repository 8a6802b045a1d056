"""What an experiment tracker is: the events of a run, as methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.registry import Registry
from i2i.training.diagnostics import Diagnosis


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker gets it when training starts.

    Attributes:
        folder: the run folder.
        settings: `method`, `options`, `data`, `train` and so on, as in config.json; of paths, only the last part.
        step: steps done: 0, or those of the checkpoint from which the run resumes.
        id: what `on_start` returned when the run was first tracked; None for a run that is new to the tracker.
    """

    folder: Path
    settings: Mapping[str, Any]
    step: int = 0
    id: str | None = None

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.resolve().name


class WarningNames:
    """Names for the warnings of a run: by step, and by number where a step has several."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def next(self, step: int) -> str:
        """The name of the next warning at a step."""
        self._counts[step] += 1
        return f"warnings/{step:06d}" + (f"-{self._counts[step]}" if self._counts[step] > 1 else "")


class Tracker:
    """Sends the events of a run to an experiment tracker, on rank 0; register a subclass with `trackers.register`.

    Its methods have the arguments of the `Callbacks` of the same names. A method that raises does not end the run:
    there is one warning, and the call is tried again later. A run that was killed has logged steps past the checkpoint
    from which it resumes, and logs them again, equal up to rounding unless settings were changed.
    """

    def check(self) -> None:
        """Called before training, and before any other method.

        Raises:
            UsageError: a package isn't installed, or the user isn't logged in; the message says what to type.
        """

    def on_start(self, run: TrackedRun) -> str | None:
        """Training starts. Return an id that is kept in the run folder, to continue the same record on resume."""

    def on_log(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics at a step."""

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Validation scores at a step; by default metrics with the prefix `validation/`."""
        self.on_log(step, {f"validation/{name}": value for name, value in scores.items()})

    def on_sample(self, step: int, path: Path) -> None:
        """A sample grid, a PNG file."""

    def on_warning(self, step: int, diagnosis: Diagnosis) -> None:
        """A warning and its advice, with settings as flags."""

    def on_model(self, files: Sequence[Path]) -> None:
        """Training has finished; the model files."""

    def on_end(self, state: str) -> None:
        """The run is "finished", "stopped", "diverged" or "failed"; no other method is called after this."""


trackers: Registry[Tracker] = Registry("experiment tracker", base=Tracker)
