"""How fast a run trains, how long it has trained and how long it still takes."""

from __future__ import annotations

from typing import NamedTuple

from i2i.report.run_folder import Run


class Timing(NamedTuple):
    """The timing of a run.

    Attributes:
        speed: recent, in images per second.
        trained: in seconds, pauses left out.
        left: in seconds; 0 when finished or unknown.
    """

    speed: float
    trained: float
    left: float


def timing(run: Run) -> Timing | None:
    """The timing of a run, by its logged speed; None if there is none."""
    speeds = run.curves.get("images_per_second")
    if not speeds:
        return None
    recent = [value for _, value in speeds[-10:]]
    speed = sum(recent) / len(recent)
    starts = [0, *(step for step, _ in speeds)]
    intervals = zip(starts, speeds, strict=False)
    trained = sum((step - start) * run.batch_size / value for start, (step, value) in intervals if value > 0)
    left = max((run.steps or 0) - run.step, 0) * run.batch_size / speed if speed > 0 else 0
    return Timing(speed, trained, left)
