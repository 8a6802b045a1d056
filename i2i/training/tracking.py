"""The trackers of a run: a tracker that fails gives one warning and is retried, while training continues."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from i2i.distributed import broadcast_object, rank
from i2i.errors import UsageError, in_flags
from i2i.files import write_whole
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers import TrackedRun, Tracker, trackers

_FIRST_DELAY = 60.0  # seconds until a failed call is tried again; doubled each time, so that waiting costs little
_LONGEST_REASON = 200
_IDS = "tracking.json"  # in the run folder: by tracker, the id of its record of the run

Call = Callable[[Tracker], object]
Warn = Callable[[int, Diagnosis], object]


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that can't be used; rank 0 checks them, and all ranks learn the result.

    Raises:
        UsageError: a tracker is unknown or not installed, or the user isn't logged in.
    """
    refused = None
    if rank() == 0:
        try:
            for name in names:
                trackers[name]().check()
        except UsageError as error:
            refused = error.args[0]
    refused = broadcast_object(refused) if names else None
    if refused:
        raise UsageError(refused)


class Tracking:
    """Calls the trackers of a run, on rank 0; none of their errors leaves it.

    Args:
        warn: called when a tracker fails, once for each, and at the end where something could not be sent.
    """

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._guarded: dict[str, _Guarded] = {}
        self._ids: dict[str, str] = {}

    def start(self, names: Sequence[str], run: TrackedRun, *, resumed: bool) -> None:
        """Start the trackers.

        Args:
            names: as the registry has them.
            run: what they get; its folder keeps their ids.
            resumed: whether the run continues the one in the folder.
        """
        self._ids = _read_ids(run.folder) if resumed else {}
        for name in names:
            self._guarded[name] = _Guarded(name, trackers[name](), partial(self._start, name, run), self._warn)
        for guarded in self._guarded.values():
            guarded.send(run.step)

    def on_log(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics at a step."""
        self._call(step, lambda tracker: tracker.on_log(step, values))

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Validation scores at a step."""
        self._call(step, lambda tracker: tracker.on_validation(step, scores))

    def on_sample(self, step: int, path: Path) -> None:
        """A sample grid."""
        self._call(step, lambda tracker: tracker.on_sample(step, path), files=True)

    def on_warning(self, step: int, diagnosis: Diagnosis) -> None:
        """A warning, with settings as `i2i.errors.setting` spells them."""
        diagnosis = Diagnosis(in_flags(diagnosis.warning), in_flags(diagnosis.advice))
        self._call(step, lambda tracker: tracker.on_warning(step, diagnosis))

    def end(self, step: int, state: str, models: Sequence[Path] = ()) -> None:
        """The run ends: what waits is tried a last time.

        Args:
            step: steps done.
            state: "finished", "stopped", "diverged" or "failed".
            models: the model files, if it has finished.
        """
        for name in list(self._guarded):
            self._guarded.pop(name).end(step, state, models)  # popped: it gets no warning that follows from its end

    def _call(self, step: int, call: Call, *, files: bool = False) -> None:
        for guarded in self._guarded.values():
            guarded.call(step, call, files=files)

    def _start(self, name: str, run: TrackedRun, tracker: Tracker) -> None:
        tracker.check()
        known = self._ids.get(name)
        given = tracker.on_start(replace(run, id=known))
        if given is not None and given != known:
            self._ids[name] = given
            with contextlib.suppress(OSError):
                write_whole(run.folder / _IDS, json.dumps(self._ids, indent=2).encode())


class _Guarded:
    """A tracker whose calls wait in two queues: servers may take metrics and refuse files."""

    def __init__(self, name: str, tracker: Tracker, start: Call, warn: Warn) -> None:
        self.name, self.tracker = name, tracker
        self._warn, self._warned, self._started = warn, False, False
        self._metrics, self._files = _Queue(), _Queue()

        def first(tracker: Tracker) -> None:
            start(tracker)
            self._started = True

        self._metrics.calls.append(first)

    def call(self, step: int, call: Call, *, files: bool = False) -> None:
        """Add a call, and make those that are due."""
        (self._files if files else self._metrics).calls.append(call)
        self.send(step)

    def send(self, step: int, *, last: bool = False) -> None:
        """Make the calls that are due; all of them, if it is the `last` time."""
        error = self._metrics.make(self.tracker, last=last)
        if self._started:
            error = self._files.make(self.tracker, last=last) or error
        if error and not self._warned:
            self._warned = True
            reason = next(iter(str(error).splitlines()), "")[:_LONGEST_REASON] or type(error).__name__
            advice = "training continues and the tracker is retried; metrics.jsonl has all metrics"
            self._warn(step, Diagnosis(f"{self.name}: {reason}", advice))

    def end(self, step: int, state: str, models: Sequence[Path]) -> None:
        """Make the calls that wait, and the last one."""
        if models:
            self._files.calls.append(lambda tracker: tracker.on_model(models))
        self.send(step, last=True)
        missing = len(self._metrics.calls) + len(self._files.calls)
        if self._started:
            self._metrics.calls = deque([lambda tracker: tracker.on_end(state)])
            self.send(step, last=True)
        if missing:
            text = f"{self.name}: {missing} calls failed to the end; it lacks metrics, samples or the model"
            self._warn(step, Diagnosis(text, "they are in the run folder"))


class _Queue:
    """Calls in their order; one that fails is tried again later, and those behind it wait."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque()
        self._retry_at, self._delay = 0.0, _FIRST_DELAY

    def make(self, tracker: Tracker, *, last: bool) -> Exception | None:
        """Make the calls, and return the error of one that failed."""
        if time.monotonic() < self._retry_at and not last:
            return None
        try:
            while self.calls:
                self.calls[0](tracker)
                self.calls.popleft()
        except Exception as error:
            self._retry_at, self._delay = time.monotonic() + self._delay, 2 * self._delay
            return error
        self._delay = _FIRST_DELAY
        return None


def _read_ids(folder: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        ids = json.loads((folder / _IDS).read_text())
        if isinstance(ids, dict):
            return {name: text for name, text in ids.items() if isinstance(text, str)}
    return {}
