"""Which jobs are still to be done, by the record of the output folder."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from i2i.errors import UsageError, setting
from i2i.inference.conversion import Conversion
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Record, Settings, Stamp, differences, fingerprint, identity
from i2i.inference.translator import Translator


class Recording(NamedTuple):
    """What all outputs of a conversion depend on.

    Attributes:
        settings: see `settings_of`.
        has_seed: whether the model has a latent, so that outputs depend on their seeds.
        quality: JPEG quality.
    """

    settings: Settings
    has_seed: bool
    quality: int

    def settings_for(self, job: Job) -> Settings:
        """What the output of a job depends on besides its source."""
        quality = self.quality if job.target.suffix.lower() in (".jpg", ".jpeg") else None
        return replace(self.settings, seed=(job.seed or 0) if self.has_seed else None, quality=quality)


class Known(Protocol):
    """What is known of the outputs in a folder."""

    @property
    def folder(self) -> Path | str:
        """The folder, for messages."""

    def exists(self, target: Path) -> bool:
        """Whether there is such an output."""

    def before(self, target: Path) -> Origin | None:
        """The origin of an output; None if it isn't known."""

    def of(self, job: Job) -> Origin:
        """The origin that an output would have now; OSError if there is no such source."""


class Origins:
    """The source and options of each output of a conversion, and the record of the output folder.

    Args:
        recording: what is recorded.
        record: of the folder; one that was not read can only be added to.
        identity_of: gives the checksum of a source's path and its stamp; see `i2i.inference.record.identity`.
    """

    def __init__(
        self,
        recording: Recording,
        record: Record,
        *,
        identity_of: Callable[[Path], tuple[str, Stamp]] = identity,
    ) -> None:
        self.recording, self.record, self.folder, self._identity_of = recording, record, record.folder, identity_of
        self._before_reading: dict[Job, Origin] = {}

    def exists(self, target: Path) -> bool:
        """Whether there is such an output."""
        return _is_file(target)

    def before(self, target: Path) -> Origin | None:
        """The origin of an output; None if it isn't known."""
        return self.record.origin_of(target)

    def of(self, job: Job) -> Origin:
        """The source and options that an output would be made with now; OSError if there is no such source."""
        return Origin(self.recording.settings_for(job), *self._identity_of(job.source))

    def note(self, jobs: list[Job]) -> None:
        """Remember the source's size and time before it is read, in case it changes meanwhile."""
        for job in jobs:
            with contextlib.suppress(OSError):  # reported when it is read
                self._before_reading[job] = self.of(job)

    def add(self, job: Job, temporary: Path) -> None:
        """Add an output to the record, before it is renamed to its final name."""
        self.record.add(job.target, Stamp.of(temporary), self._before_reading.pop(job))


def settings_of(translator: Translator, *, tile: int | None, model: str) -> Settings:
    """What all outputs of a conversion depend on.

    Args:
        translator: the model.
        tile: size of the tiles in pixels, or None.
        model: name of the model.
    """
    invert_dark, to = translator.invert_dark, translator.domains[1]
    return Settings(fingerprint(translator), tile, invert_dark=invert_dark, name=model, to=to)


def pending_jobs(jobs: list[Job], result: Conversion, origins: Known | None) -> list[Job]:
    """The jobs whose target doesn't exist, or was made from a source that has changed since.

    The others are added to `result.skipped` and `result.unknown`, and repeated ones to `result.changed`.

    Raises:
        UsageError: some targets were made by another model, with other options, or from other images.
    """
    pending, different = list[Job](), Counter[str]()
    for job in jobs:
        before = origins.before(job.target) if origins else None
        if not (origins.exists(job.target) if origins else _is_file(job.target)):
            pending.append(job)
        elif origins is None or before is None:
            result.skipped.append(job)
            result.unknown.append(job)
        else:
            try:
                now = origins.of(job)
            except OSError:  # the source is gone, which is reported when it is read
                pending.append(job)
                continue
            if how := differences(before, now):
                different[how] += 1
            elif before.stamp != now.stamp:
                pending.append(job)
                result.changed.append(job)
            else:
                result.skipped.append(job)
    if different:
        made = ", ".join(f"{count} made {how}" for how, count in different.most_common())
        raise UsageError(
            f"{origins.folder if origins else ''} holds {made}: add {setting('overwrite')} to translate "
            f"{'them' if sum(different.values()) > 1 else 'it'} again, or choose another OUTPUT"
        )
    return pending


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, which is reported when it is written
        return False
