"""The thread that computes: one job at a time, where waiting translations by one model go through it together."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from i2i.images.decoded import DecodedImage
from i2i.inference.options import Callbacks
from i2i.inference.translator import Translator

BATCH = 8  # images that are translated together, at most
_WAIT = 0.003  # seconds in which other images may join the first


@dataclass(frozen=True, eq=False)
class Translation:
    """An image to translate.

    Attributes:
        translator: of the model.
        image: what to translate.
        seed: which of the plausible outputs, for a model that has many; None for others.
        tile: translate in tiles of this height and width, in pixels.
        late: when nobody waits for it any more, by `time.monotonic`; checked between tiles.
    """

    translator: Translator
    image: DecodedImage
    seed: int | None = None
    tile: int | None = None
    late: float = math.inf

    @property
    def kind(self) -> tuple[Any, ...]:
        """What is equal in translations that go through the network together."""
        return id(self.translator), self.image.pixels.shape, self.image.pixels.dtype, self.tile, self.seed is None


@dataclass(frozen=True, eq=False)
class _Job:
    work: Translation | Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Worker:
    """Computes in a thread of its own, so that all cores work on one thing at a time."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="i2i worker", daemon=True)
        self._thread.start()

    def submit(self, work: Translation | Callable[[], Any]) -> Future[Any]:
        """Queue a translation, or any function without arguments; a cancelled future is left out."""
        job = _Job(work)
        self._jobs.put(job)
        return job.future

    def close(self, *, timeout: float | None = None) -> None:
        """Finish what is queued, and end the thread, within so many seconds if they are given."""
        self._jobs.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        for jobs in self._batches():
            if started := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                _settle(started)

    def _batches(self) -> Iterator[list[_Job]]:
        """Jobs in the order in which they came, with those of the same kind that came within a moment."""
        waiting: list[_Job | None] = []  # None ends the thread
        while True:
            if not waiting:
                waiting.append(self._jobs.get())
            first, until = waiting[0], time.monotonic() + _WAIT
            if first is None:
                return
            with contextlib.suppress(queue.Empty):
                while len(waiting) < BATCH:
                    waiting.append(self._jobs.get(timeout=max(until - time.monotonic(), 0)))
            batch = [job for job in waiting if job is not None and _kind(job) == _kind(first)]
            waiting = [job for job in waiting if job not in batch]
            yield batch


def _kind(job: _Job) -> Any:
    return job.work.kind if isinstance(job.work, Translation) else job


def _settle(jobs: list[_Job]) -> None:
    try:
        results = _compute([job.work for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            jobs[0].future.set_exception(error)
        else:  # one by one, so that only the one at fault fails
            for job in jobs:
                _settle([job])
        return
    for job, result in zip(jobs, results, strict=True):
        job.future.set_result(result)


def _compute(works: list[Translation | Callable[[], Any]]) -> list[Any]:
    """The results of one function, or of translations of one kind."""
    first = works[0]
    if not isinstance(first, Translation):
        return [first()]
    translations = [work for work in works if isinstance(work, Translation)]
    seeds = None if first.seed is None else [work.seed or 0 for work in translations]
    late = max(work.late for work in translations)

    def check(_: float) -> None:
        if time.monotonic() > late:
            raise TimeoutError("nobody waits for it any more")

    silent = Callbacks(on_progress=check, on_fallback=lambda *_: None)
    images = [work.image for work in translations]
    return list(first.translator.batch(images, batch_size=BATCH, seeds=seeds, tile=first.tile, callbacks=silent))
