"""Which jobs are still to be done, by the record of the output folder."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from i2i.errors import UsageError, setting
from i2i.inference.conversion import Conversion
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Record, Settings, Stamp, differences, fingerprint, origin
from i2i.inference.translator import Translator


class Origins:
    """The source and options of each output of a conversion, and the record of the output folder.

    Args:
        folder: the output folder.
        translator: the model.
        tile: size of the tiles in pixels, or None.
        quality: JPEG quality.
        model: name of the model, for the record.
    """

    def __init__(self, folder: Path, translator: Translator, *, tile: int | None, quality: int, model: str) -> None:
        self.record = Record.read(folder)
        self._settings = Settings(
            fingerprint(translator),
            tile,
            invert_dark=translator.invert_dark,
            name=model,
            to=translator.domains[1],
        )
        self._has_seed, self._quality = bool(translator.backend.latent), quality
        self._before_reading: dict[Job, Origin] = {}

    def of(self, job: Job) -> Origin:
        """The source and options that an output would be made with now; OSError if there is no such source."""
        quality = self._quality if job.target.suffix.lower() in (".jpg", ".jpeg") else None
        seed = (job.seed or 0) if self._has_seed else None
        return origin(job.source, replace(self._settings, seed=seed, quality=quality))

    def note(self, jobs: list[Job]) -> None:
        """Remember the source's size and time before it is read, in case it changes meanwhile."""
        for job in jobs:
            with contextlib.suppress(OSError):  # reported when it is read
                self._before_reading[job] = self.of(job)

    def add(self, job: Job, temporary: Path) -> None:
        """Add an output to the record, before it is renamed to its final name."""
        self.record.add(job.target, Stamp.of(temporary), self._before_reading.pop(job))


def pending_jobs(jobs: list[Job], result: Conversion, origins: Origins | None) -> list[Job]:
    """The jobs whose target doesn't exist, or was made from a source that has changed since.

    The others are added to `result.skipped` and `result.unknown`, and repeated ones to `result.changed`.

    Raises:
        UsageError: some targets were made by another model, with other options, or from other images.
    """
    pending, different = list[Job](), Counter[str]()
    for job in jobs:
        before = origins.record.origin_of(job.target) if origins else None
        if not _is_file(job.target):
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
            f"{origins.record.folder if origins else ''} holds {made}: add {setting('overwrite')} to translate "
            f"{'them' if sum(different.values()) > 1 else 'it'} again, or choose another OUTPUT"
        )
    return pending


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, which is reported when it is written
        return False
