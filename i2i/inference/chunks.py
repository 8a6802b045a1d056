"""Convert in chunks, which may be translated anywhere and in any order: by this process, or by workers of a cluster."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from i2i.errors import UsageError
from i2i.inference.conversion import Conversion
from i2i.inference.folder import ConvertOptions, prepare, remove_abandoned_targets, translate_files
from i2i.inference.origins import Origins, Recording, pending_jobs
from i2i.inference.planning import Job
from i2i.inference.record import Record, Stamp, identity
from i2i.inference.remote.copies import local_copies
from i2i.inference.remote.folders import RemoteFolders, reached
from i2i.inference.remote.record import OriginsOfRemote, RemoteOrigins
from i2i.inference.signals import sigterm_as_interrupt
from i2i.inference.translator import Translator
from i2i.progress import Progress

CHUNK = 64  # jobs; what is done again where a worker is lost


@dataclass(frozen=True)
class ChunkTask:
    """What a worker needs besides the model to translate a chunk; it is sent to other machines.

    Attributes:
        options: of the conversion.
        recording: what is recorded of outputs; nothing unless given.
        record: the output folder, where it is a local one with a record.
        remote: which folders are remote.
    """

    options: ConvertOptions
    recording: Recording
    record: Path | None = None
    remote: RemoteFolders | None = None

    def __call__(self, jobs: list[Job], translator: Translator) -> Conversion:
        """Translate a chunk's jobs; an image that fails is named in the result."""
        result = Conversion()
        if self.remote is None:
            self._translate(jobs, translator, result, identity)
            return result
        with local_copies(self.remote, jobs) as copies:
            try:
                self._translate(copies.jobs, translator, result, copies.identity_of)
            except BaseException:
                copies.finish(result, self.recording)  # images that are done are kept
                raise
            return copies.finish(result, self.recording)

    def _translate(
        self,
        jobs: list[Job],
        translator: Translator,
        result: Conversion,
        identity_of: Callable[[Path], tuple[str, Stamp]],
    ) -> None:
        record = Record(self.record, made=True) if self.record else None
        origins = Origins(self.recording, record, identity_of=identity_of) if record else None
        translate_files(jobs, translator, self.options, result=result, origins=origins, progress=False)


Engine: TypeAlias = Callable[[ChunkTask, list[list[Job]]], Generator[Conversion, None, None]]


def convert_in_chunks(
    jobs: list[Job],
    translator: Translator,
    options: ConvertOptions,
    *,
    engine: Engine,
    overwrite: bool = False,
    progress: bool = True,
    record: Path | None = None,
    remote: RemoteFolders | None = None,
    model: str = "this model",
    chunk: int = CHUNK,
) -> Conversion:
    """Translate each job's image into its file as `convert` does, chunk by chunk.

    Args:
        jobs: see `i2i.inference.planning.plan`, and `plan_remote` if a folder is remote.
        translator: the model.
        options: of the conversion.
        engine: gets the task and the chunks, and yields the result of each that is done, in any order.
        overwrite: translate again what exists already.
        progress: show a progress bar.
        record: the output folder on a local disk; see `convert`.
        remote: which folders are remote.
        model: name of the model, for the record.
        chunk: jobs of a chunk.

    Raises:
        UsageError: targets were made by another model, with other options or from other images, or the engine can't
            be started.
    """
    start = time.perf_counter()
    recording = options.recording(translator, model)
    if remote is None:
        pending, result, _ = prepare(jobs, translator, options, overwrite=overwrite, record=record, model=model)
    else:
        pending, result = _prepare_remote(jobs, remote, recording, overwrite=overwrite, record=record)
    if record and pending:
        record.mkdir(parents=True, exist_ok=True)
    task = ChunkTask(options, recording, record, remote)
    chunks = [pending[index : index + chunk] for index in range(0, len(pending), chunk)]
    with (
        sigterm_as_interrupt(),
        contextlib.closing(engine(task, chunks)) as finished,
        Progress(total=len(pending), unit="image", disable=not progress) as bar,
    ):
        for part in finished:
            result.add(part)
            bar.update(len(result.written) + len(result.failed) - bar.n)
            if result.stopped:
                break
    if remote is None or not remote.target:
        remove_abandoned_targets(pending)  # a worker may have been killed
    written, order = set(result.written), {job: index for index, job in enumerate(pending)}
    result.written.sort(key=order.__getitem__)
    if result.stopped:
        result.undone = [job for job in pending if job not in written and job.source not in result.failed]
    result.seconds = time.perf_counter() - start
    return result


def in_this_process(translator: Translator) -> Engine:
    """The engine that translates the chunks one after the other."""

    def run(task: ChunkTask, chunks: list[list[Job]]) -> Generator[Conversion, None, None]:
        for jobs in chunks:
            yield task(jobs, translator)

    return run


def _prepare_remote(
    jobs: list[Job], remote: RemoteFolders, recording: Recording, *, overwrite: bool, record: Path | None
) -> tuple[list[Job], Conversion]:
    """The jobs to do, and the result so far, which has those that are done already."""
    result = Conversion()
    try:
        if overwrite:
            return jobs, result
        if remote.target:
            return pending_jobs(jobs, result, RemoteOrigins(recording, remote)), result
        known = OriginsOfRemote(recording, Record.read(record), remote) if record else None
        return pending_jobs(jobs, result, known), result
    except UsageError:
        raise
    except Exception as error:  # each storage has errors of its own
        raise reached(remote.target or remote.source, error) from None
