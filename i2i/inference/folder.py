"""Files translated into files: reading, the network, and writing go on at the same time."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import ImageError, UsageError
from i2i.files import remove_abandoned, write_whole
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.grid import contact_sheet
from i2i.images.reading import MAX_PIXELS, SUFFIXES, read
from i2i.images.writing import JPEG_QUALITY, encode, write
from i2i.inference.planning import Job
from i2i.inference.record import Origin, OutputFolderError, Record, Settings, Stamp, differences, fingerprint, origin
from i2i.inference.translator import Callbacks, Translator
from i2i.progress import Progress, logger

_THREADS = min(4, os.cpu_count() or 1)  # that read, and as many that write
_WAITING = 2**28  # bytes of images that wait for others of their size
_ACROSS = 6  # images in a row of a contact sheet
# After these no other file can be written either.
_ENDS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE}


@dataclass
class Conversion:
    """What became of the jobs of a conversion.

    Attributes:
        written: jobs done, in their order.
        changed: those of them that were done before, from a source that has changed since.
        skipped: jobs whose target was there already.
        unknown: those of them of which no record says what made them.
        failed: why an image couldn't be read, translated or written, by its path.
        undone: jobs not done, because nothing can be written any more.
        stopped: why.
        notes: what there is to say of some images, and their paths.
        seconds: how long it took.
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


def convert(
    jobs: list[Job],
    translator: Translator,
    *,
    batch_size: int | None = None,
    tile: int | None = None,
    overwrite: bool = False,
    quality: int = JPEG_QUALITY,
    max_pixels: int = MAX_PIXELS,
    progress: bool = True,
    record: Path | None = None,
    model: str = "this model",
) -> Conversion:
    """Translate each job's image into its file; one that can't be read or written is noted, the others are done.

    Each file is written whole or not at all, also where Ctrl-C or SIGTERM ends it (as `KeyboardInterrupt`). Temporary
    files that a killed process left beside the targets are removed.

    Args:
        jobs: see `i2i.inference.planning.plan`.
        translator: the model.
        batch_size: images of one size that go through the network together; 8, on a CPU 1, unless given.
        tile: translate in tiles of this size; see `Translator.__call__`.
        overwrite: translate again what is there already; else it is skipped, so that a conversion can be continued.
        quality: of JPEG, 1 to 100.
        max_pixels: refuse images of more; see `i2i.images.reading.read`.
        progress: show a bar.
        record: the output folder, to remember there what made each file (see `i2i.inference.record`): a target made
            from a source that has changed since is translated again, one made otherwise is an error unless `overwrite` is set.
        model: its name, for the record.

    Raises:
        UsageError: the batch size or `tile` is below 1, or another model, other options or other images made targets.
    """
    if batch_size is None:
        batch_size = 1 if translator.device.type == "cpu" else 8
    if batch_size < 1:
        raise UsageError(f"batch size {batch_size}: it is 1 or more")
    if tile is not None and tile < 1:
        raise UsageError(f"tile {tile}: it is 1 or more pixels")
    result, begun = Conversion(), time.perf_counter()
    origins = _Origins(record, translator, tile=tile, quality=quality, model=model) if record else None
    todo = jobs if overwrite else _todo(jobs, result, origins)
    for folder in {job.target.parent for job in todo}:
        remove_abandoned(folder, suffixes={*SUFFIXES, ".jsonl"})
    with (
        _ended_by_sigterm(),
        ThreadPoolExecutor(_THREADS) as readers,
        _Writers(result, quality, origins) as writers,
        Progress(total=len(todo), unit="image", disable=not progress) as bar,
    ):
        read_all = _read_ahead(todo, readers, result, max_pixels, origins)
        for batch in _batches(read_all, batch_size):
            for job, image in _translate(batch, translator, result, bar, tile):
                writers.add(job, image)
            bar.update(len(result.written) + len(result.failed) - bar.n)
            if result.stopped:
                break
        writers.finish()
        bar.update(len(result.written) + len(result.failed) - bar.n)
    order = {job: index for index, job in enumerate(todo)}
    result.written.sort(key=order.__getitem__)
    if result.stopped:
        begun_with = {*result.written, *(job for job in todo if job.source in result.failed)}
        result.undone = [job for job in todo if job not in begun_with]
    result.seconds = time.perf_counter() - begun
    return result


def write_contact_sheet(path: Path, jobs: list[Job], *, domains: tuple[str, str], most: int = 24) -> None:
    """Write up to `most` inputs beside their outputs, evenly chosen, as one image to look at."""
    outputs: dict[Path, list[Path]] = {}
    for job in jobs:
        outputs.setdefault(job.source, []).append(job.target)
    sources = list(outputs)
    chosen = [sources[index * len(sources) // min(most, len(sources))] for index in range(min(most, len(sources)))]
    groups: list[list[PixelArray]] = []
    for source in chosen:
        with contextlib.suppress(ImageError, MemoryError):  # what lies there from an earlier time may be damaged
            groups.append([read(source).pixels, *(read(target).pixels for target in outputs[source])])
    if not groups:
        return
    wide = max(map(len, groups))
    blank = np.full((1, 1, 3), 255, np.uint8)  # where an output is missing
    groups = [[*group, *[blank] * (wide - len(group))] for group in groups]
    across = max(1, _ACROSS // wide)
    rows = [list(itertools.chain(*groups[start : start + across])) for start in range(0, len(groups), across)]
    captions = [domains[0], *[domains[1]] * (wide - 1)] * across
    write(DecodedImage(contact_sheet(rows, captions[: max(map(len, rows))], side=256)), path)


class _Origins:
    """What the outputs of a conversion are made from and with, and the record of it."""

    def __init__(self, folder: Path, translator: Translator, *, tile: int | None, quality: int, model: str) -> None:
        self.record = Record.read(folder)
        self._settings = Settings(fingerprint(translator), tile, name=model, to=translator.domains[1])
        self._latent, self._quality = bool(translator.generator.latent), quality
        self._of: dict[Job, Origin] = {}

    def find(self, job: Job) -> Origin:
        """What an output is made from and with now; OSError where there is no such source."""
        quality = self._quality if job.target.suffix.lower() in (".jpg", ".jpeg") else None
        seed = (job.seed or 0) if self._latent else None
        return origin(job.source, replace(self._settings, seed=seed, quality=quality))

    def note(self, jobs: list[Job]) -> None:
        """Remember how a source is before it is read."""
        for job in jobs:
            with contextlib.suppress(OSError):  # which is said when it is read
                self._of[job] = self.find(job)

    def add(self, job: Job, temporary: Path) -> None:
        """Add an output that is complete but for its name to the record."""
        self.record.add(job.target, Stamp.of(temporary), self._of.pop(job))


def _todo(jobs: list[Job], result: Conversion, origins: _Origins | None) -> list[Job]:
    """The jobs whose target isn't there, or was made from a source that has changed since.

    Raises:
        UsageError: another model, other options or other images made some of the targets.
    """
    todo, others = list[Job](), Counter[str]()
    for job in jobs:
        was = origins.record.origin_of(job.target) if origins else None
        if not _is_file(job.target):
            todo.append(job)
        elif origins is None or was is None:
            result.skipped.append(job)
            result.unknown.append(job)
        else:
            try:
                now = origins.find(job)
            except OSError:  # the source is gone, which is said when it is read
                todo.append(job)
                continue
            if different := differences(was, now):
                others[different] += 1
            elif was.stamp != now.stamp:
                todo.append(job)
                result.changed.append(job)
            else:
                result.skipped.append(job)
    if others:
        made = ", ".join(f"{count} made {how}" for how, count in others.most_common())
        raise UsageError(
            f"{origins.record.folder if origins else ''} holds {made}: add --overwrite to translate "
            f"{'them' if sum(others.values()) > 1 else 'it'} again, or choose another OUTPUT"
        )
    return todo


class _Writers:
    """Threads that encode and write results, a few of them at a time."""

    def __init__(self, result: Conversion, quality: int, origins: _Origins | None) -> None:
        self.result, self.quality, self.origins = result, quality, origins
        self.pool = ThreadPoolExecutor(_THREADS)
        self.waiting: deque[tuple[Job, Future[None]]] = deque()

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        if self.origins:
            self.origins.record.close()

    def add(self, job: Job, image: DecodedImage) -> None:
        """Write a result soon."""
        self.waiting.append((job, self.pool.submit(self._write, job, image)))
        while len(self.waiting) > 2 * _THREADS:
            self._finish_one()

    def finish(self) -> None:
        """Wait until all are written."""
        while self.waiting:
            self._finish_one()

    def _write(self, job: Job, image: DecodedImage) -> None:
        origins = self.origins
        data = encode(image, job.target.suffix, quality=self.quality)
        if origins is None:
            write_whole(job.target, data)
        else:
            origins.record.check()
            write_whole(job.target, data, before_rename=lambda temporary: origins.add(job, temporary))

    def _finish_one(self) -> None:
        job, writing = self.waiting.popleft()
        error = writing.exception()  # of whatever kind: encoders of odd images raise what they come upon
        if error is None:
            self.result.written.append(job)
            logger.info("%s -> %s", job.source, job.target)
        elif isinstance(error, OSError) and (why := self._ending(job, error)):
            self.result.stopped = self.result.stopped or f"can't write {why}"
        else:
            self.result.failed[job.source] = f"can't write {job.target}: {_in_words(error)}"

    def _ending(self, job: Job, error: OSError) -> str:
        """Why no other file can be written either, or nothing."""
        if self.origins and not isinstance(error, OutputFolderError):
            try:
                self.origins.record.check()
            except OutputFolderError as gone:
                error = gone
        if isinstance(error, OutputFolderError):
            return error.strerror or str(error)
        return f"{job.target}: {error.strerror}" if error.errno in _ENDS else ""


def _in_words(error: BaseException, *, leave_out: str = "") -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory"
    return (str(error).removeprefix(leave_out).strip() or type(error).__name__).splitlines()[0]


def _read_ahead(
    jobs: list[Job],
    readers: ThreadPoolExecutor,
    result: Conversion,
    max_pixels: int,
    origins: _Origins | None,
) -> Iterator[tuple[Job, DecodedImage]]:
    """Each job's image, in order, a few of them decoded before they are asked for; one for all jobs of a source."""
    waiting: deque[tuple[list[Job], Future[DecodedImage]]] = deque()
    groups = [list(group) for _, group in itertools.groupby(jobs, key=lambda job: job.source)]

    def read_one(own: list[Job]) -> DecodedImage:
        if origins:
            origins.note(own)
        return read(own[0].source, max_pixels=max_pixels)

    def next_one() -> Iterator[tuple[Job, DecodedImage]]:
        own, reading = waiting.popleft()
        source = own[0].source
        if (error := reading.exception()) is not None:  # of whatever kind: one file doesn't end a conversion
            result.failed[source] = _in_words(error, leave_out=f"{source}: ")
            return
        image = reading.result()
        if image.frames > 1:
            result.notes["the first of several frames or pages was translated"].append(source)
        yield from ((job, image) for job in own)

    try:
        for group in groups:
            waiting.append((group, readers.submit(read_one, group)))
            if len(waiting) > _THREADS:
                yield from next_one()
        while waiting:
            yield from next_one()
    finally:
        for _, reading in waiting:
            reading.cancel()


def _batches(images: Iterator[tuple[Job, DecodedImage]], batch_size: int) -> Iterator[list[tuple[Job, DecodedImage]]]:
    """Images of one height and width together, wherever they stand, as long as not too many wait."""
    waiting: dict[tuple[int, ...], list[tuple[Job, DecodedImage]]] = defaultdict(list)
    held = 0
    for job, image in images:
        shape = image.pixels.shape[:2]
        waiting[shape].append((job, image))
        held += image.pixels.nbytes
        if held > _WAITING:  # the group that holds most goes first
            shape = max(waiting, key=lambda one: sum(image.pixels.nbytes for _, image in waiting[one]))
        elif len(waiting[shape]) < batch_size:
            continue
        batch = waiting.pop(shape)
        held -= sum(image.pixels.nbytes for _, image in batch)
        yield batch
    yield from waiting.values()


def _translate(
    batch: list[tuple[Job, DecodedImage]], translator: Translator, result: Conversion, bar: Any, tile: int | None
) -> list[tuple[Job, DecodedImage]]:
    """Translate together or, where one of them can't be translated, one by one."""
    images, seeds = [image for _, image in batch], [job.seed for job, _ in batch if job.seed is not None]
    options: dict[str, Any] = {"seeds": seeds or None, "tile": tile, "callbacks": _watch(batch, result, bar)}
    try:
        translated = list(translator.batch(images, batch_size=len(batch), **options))
    except UsageError:
        raise
    except Exception as error:  # whatever a network comes upon in one image, the others are done
        if len(batch) == 1:
            result.failed[batch[0][0].source] = f"can't be translated: {_in_words(error)}"
            return []
    else:
        return [(job, image) for (job, _), image in zip(batch, translated, strict=True)]
    return [done for one in batch for done in _translate([one], translator, result, bar, tile)]


def _watch(batch: list[tuple[Job, DecodedImage]], result: Conversion, bar: Any) -> Callbacks:
    name = batch[0][0].source.name

    def say(index: int, _: str) -> None:
        noted = result.notes["translated in tiles, being too large for the memory at once"]
        if (source := batch[index][0].source) not in noted:
            noted.append(source)

    return Callbacks(lambda done: bar.set_postfix_str(f"{name}: {done:.0%}" if done < 1 else ""), say)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, which is said when it is written
        return False


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a conversion as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
