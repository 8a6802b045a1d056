"""The result of a folder conversion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from i2i.errors import ImageError, UsageError
from i2i.inference.planning import Job


@dataclass
class Conversion:
    """The result of a folder conversion, by job.

    Attributes:
        written: jobs done, in their order.
        changed: jobs of `written` that were done before, from a source that has changed since.
        skipped: jobs whose target existed already.
        unknown: jobs of `skipped` whose target isn't in the record, so that what made it is unknown.
        failed: why an image couldn't be read, translated or written, by its path.
        undone: jobs not done, because nothing can be written any more.
        stopped: why nothing can be written any more; empty if all can.
        notes: remarks on images, with the paths that they apply to.
        seconds: duration.
    """

    written: list[Job] = field(default_factory=list)
    changed: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    unknown: list[Job] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    undone: list[Job] = field(default_factory=list)
    stopped: str = ""
    notes: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    seconds: float = 0.0

    def add(self, part: Conversion) -> None:
        """Add what a part of the conversion has done."""
        self.written += part.written
        self.failed |= part.failed
        self.stopped = self.stopped or part.stopped
        for note, paths in part.notes.items():
            self.notes[note] += paths


def reason(error: BaseException, *, prefix: str = "") -> str:
    """An error in one line, without the prefix that its message has."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = error.with_flags() if isinstance(error, ImageError | UsageError) else str(error)
    return (text.removeprefix(prefix).strip() or type(error).__name__).splitlines()[0]
