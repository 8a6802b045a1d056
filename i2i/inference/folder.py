"""Translate many files: threads read images ahead of the network, and write results behind it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from i2i.errors import UsageError
from i2i.files import remove_abandoned
from i2i.images.decoded import DecodedImage
from i2i.images.formats import writable_suffixes
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read
from i2i.images.writing import JPEG_QUALITY
from i2i.inference.batches import batches
from i2i.inference.conversion import Conversion, reason
from i2i.inference.options import Callbacks
from i2i.inference.origins import Origins, Recording, pending_jobs, settings_of
from i2i.inference.planning import Job
from i2i.inference.record import Record
from i2i.inference.signals import sigterm_as_interrupt
from i2i.inference.translator import Translator
from i2i.inference.writers import THREADS, Writers
from i2i.progress import Progress

JobImage: TypeAlias = tuple[Job, DecodedImage]

_MAX_WAITING = 2**28  # bytes of images that wait for others of their size


def convert(
    jobs: list[Job],
    translator: Translator,
    *,
    batch_size: int | None = None,
    tile: int | None = None,
    overwrite: bool = False,
    quality: int = JPEG_QUALITY,
    max_megapixels: float = MAX_MEGAPIXELS,
    progress: bool = True,
    record: Path | None = None,
    model: str = "this model",
) -> Conversion:
    """Translate each job's image into its file; an image that can't be read or written doesn't stop the others.

    Each file is written whole or not at all, also when Ctrl-C or SIGTERM (raised as `KeyboardInterrupt`) ends the
    conversion. Temporary files that a killed process left beside the targets are removed.

    Args:
        jobs: see `i2i.inference.planning.plan`.
        translator: the model.
        batch_size: images of one size that go through the network together; by default 8, or 1 on a CPU.
        tile: translate in tiles of this size; see `Translator.__call__`.
        overwrite: translate again what exists already; otherwise it is skipped, so that a conversion can be resumed.
        quality: JPEG quality, 1 to 100.
        max_megapixels: refuse larger images; see `i2i.images.reading.read`.
        progress: show a progress bar.
        record: the output folder, where to record what made each file (see `i2i.inference.record`): a target made
            from a source that has changed since is translated again; one made by another model, with other options or
            from another image is an error unless `overwrite` is set.
        model: name of the model, for the record.

    Raises:
        UsageError: the batch size or `tile` is below 1, or targets were made by another model, with other options or
            from other images.
    """
    options = ConvertOptions(batch_size, tile, quality, max_megapixels)
    start = time.perf_counter()
    pending, result, origins = prepare(jobs, translator, options, overwrite=overwrite, record=record, model=model)
    translate_files(pending, translator, options, result=result, origins=origins, progress=progress)
    result.seconds = time.perf_counter() - start
    return result


@dataclass(frozen=True)
class ConvertOptions:
    """Options of a conversion; see `convert`.

    Raises:
        UsageError: the batch size or `tile` is below 1.
    """

    batch_size: int | None = None
    tile: int | None = None
    quality: int = JPEG_QUALITY
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"batch size {self.batch_size}: it must be 1 or more")
        if self.tile is not None and self.tile < 1:
            raise UsageError(f"tile {self.tile}: it must be 1 or more pixels")

    def recording(self, translator: Translator, model: str) -> Recording:
        """What is recorded of each output."""
        settings = settings_of(translator, tile=self.tile, model=model)
        return Recording(settings, bool(translator.backend.latent), self.quality)


def prepare(
    jobs: list[Job],
    translator: Translator,
    options: ConvertOptions,
    *,
    overwrite: bool = False,
    record: Path | None = None,
    model: str = "this model",
) -> tuple[list[Job], Conversion, Origins | None]:
    """The jobs to do, the result so far, which has those that are done already, and the origins; see `convert`.

    Raises:
        UsageError: targets were made by another model, with other options or from other images.
    """
    result, origins = Conversion(), None
    if record:
        origins = Origins(options.recording(translator, model), Record.read(record))
    pending = jobs if overwrite else pending_jobs(jobs, result, origins)
    remove_abandoned_targets(pending)
    return pending, result, origins


def remove_abandoned_targets(jobs: list[Job]) -> None:
    """Remove what killed processes left beside the targets."""
    for folder in {job.target.parent for job in jobs}:
        remove_abandoned(folder, suffixes={*writable_suffixes(), ".jsonl"})


def translate_files(
    jobs: list[Job],
    translator: Translator,
    options: ConvertOptions,
    *,
    result: Conversion,
    origins: Origins | None = None,
    progress: bool = True,
) -> None:
    """Translate each job's image into its file, whether or not there is one, and add what was done to `result`."""
    batch_size = options.batch_size or (1 if translator.device == "cpu" else 8)
    reading = _read_ahead(jobs, result, max_megapixels=options.max_megapixels, origins=origins)
    with (
        sigterm_as_interrupt(),
        contextlib.closing(reading) as images,
        Writers(result, quality=options.quality, origins=origins) as writers,
        Progress(total=len(jobs), unit="image", disable=not progress) as bar,
    ):
        for batch in batches(images, batch_size, size=_size, nbytes=_nbytes, max_bytes=_MAX_WAITING):
            for job, image in _translate(batch, translator, result, bar, options.tile):
                writers.add(job, image)
            bar.update(len(result.written) + len(result.failed) - bar.n)
            if result.stopped:
                break
        writers.finish()
        bar.update(len(result.written) + len(result.failed) - bar.n)
    order = {job: index for index, job in enumerate(jobs)}
    result.written.sort(key=order.__getitem__)
    if result.stopped:
        written = set(result.written)
        result.undone = [job for job in jobs if job not in written and job.source not in result.failed]


def _read_ahead(
    jobs: list[Job], result: Conversion, *, max_megapixels: float, origins: Origins | None
) -> Generator[JobImage, None, None]:
    """Each job's image, in order, a few of them decoded in advance; the jobs of one source share its image.

    An image that can't be read is added to `result.failed`.
    """
    waiting: deque[tuple[list[Job], Future[DecodedImage]]] = deque()

    def read_source(group: list[Job]) -> DecodedImage:
        if origins:
            origins.note(group)
        return read(group[0].source, max_megapixels=max_megapixels)

    def finish_next() -> Iterator[JobImage]:
        group, reading = waiting.popleft()
        source = group[0].source
        if (error := reading.exception()) is not None:  # of any type: one file doesn't end a conversion
            result.failed[source] = reason(error, prefix=f"{source}: ")
            return
        image = reading.result()
        if image.frames > 1:
            result.notes["the first of several frames or pages was translated"].append(source)
        yield from ((job, image) for job in group)

    with ThreadPoolExecutor(THREADS) as readers:
        try:
            for _, group in itertools.groupby(jobs, key=lambda job: job.source):
                same_source = list(group)
                waiting.append((same_source, readers.submit(read_source, same_source)))
                if len(waiting) > THREADS:
                    yield from finish_next()
            while waiting:
                yield from finish_next()
        finally:
            for _, reading in waiting:
                reading.cancel()


def _size(item: JobImage) -> tuple[int, ...]:
    return item[1].pixels.shape[:2]


def _nbytes(item: JobImage) -> int:
    return item[1].pixels.nbytes


def _translate(
    batch: list[JobImage], translator: Translator, result: Conversion, bar: Progress, tile: int | None
) -> list[JobImage]:
    """Translate together or, if one of the images can't be translated, one by one."""
    images, seeds = [image for _, image in batch], [job.seed for job, _ in batch if job.seed is not None]
    callbacks = _callbacks(batch, result, bar)
    try:
        translated = list(
            translator.batch(images, batch_size=len(batch), seeds=seeds or None, tile=tile, callbacks=callbacks)
        )
    except UsageError:
        raise
    except Exception as error:  # if a network fails on one image, the others are still translated
        if len(batch) == 1:
            result.failed[batch[0][0].source] = f"can't be translated: {reason(error)}"
            return []
    else:
        return [(job, image) for (job, _), image in zip(batch, translated, strict=True)]
    return [done for item in batch for done in _translate([item], translator, result, bar, tile)]


def _callbacks(batch: list[JobImage], result: Conversion, bar: Progress) -> Callbacks:
    name = batch[0][0].source.name

    def note_fallback(index: int, _: str) -> None:
        paths = result.notes["translated in tiles, being too large for the memory at once"]
        if (source := batch[index][0].source) not in paths:
            paths.append(source)

    return Callbacks(
        on_progress=lambda done: bar.set_postfix_str(f"{name}: {done:.0%}" if done < 1 else ""),
        on_fallback=note_fallback,
    )
