"""Translate many files: reading, the network and writing overlap."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from i2i.errors import UsageError
from i2i.files import remove_abandoned
from i2i.images.decoded import DecodedImage
from i2i.images.formats import writable_suffixes
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.writing import JPEG_QUALITY
from i2i.inference.batches import batches
from i2i.inference.conversion import Conversion, reason
from i2i.inference.origins import Origins, pending_jobs
from i2i.inference.planning import Job
from i2i.inference.threads import Writers, read_ahead
from i2i.inference.translator import Callbacks, Translator
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
    if batch_size is None:
        batch_size = 1 if translator.device.type == "cpu" else 8
    if batch_size < 1:
        raise UsageError(f"batch size {batch_size}: it must be 1 or more")
    if tile is not None and tile < 1:
        raise UsageError(f"tile {tile}: it must be 1 or more pixels")
    result, start = Conversion(), time.perf_counter()
    origins = Origins(record, translator, tile=tile, quality=quality, model=model) if record else None
    pending = jobs if overwrite else pending_jobs(jobs, result, origins)
    for folder in {job.target.parent for job in pending}:
        remove_abandoned(folder, suffixes={*writable_suffixes(), ".jsonl"})
    with (
        _sigterm_as_interrupt(),
        contextlib.closing(read_ahead(pending, result, max_megapixels=max_megapixels, origins=origins)) as images,
        Writers(result, quality=quality, origins=origins) as writers,
        Progress(total=len(pending), unit="image", disable=not progress) as bar,
    ):
        for batch in batches(images, batch_size, size=_size, nbytes=_nbytes, max_bytes=_MAX_WAITING):
            for job, image in _translate(batch, translator, result, bar, tile):
                writers.add(job, image)
            bar.update(len(result.written) + len(result.failed) - bar.n)
            if result.stopped:
                break
        writers.finish()
        bar.update(len(result.written) + len(result.failed) - bar.n)
    order = {job: index for index, job in enumerate(pending)}
    result.written.sort(key=order.__getitem__)
    if result.stopped:
        written = set(result.written)
        result.undone = [job for job in pending if job not in written and job.source not in result.failed]
    result.seconds = time.perf_counter() - start
    return result


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


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a conversion as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
