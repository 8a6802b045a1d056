"""Local copies of a chunk's remote sources, and of its outputs until they are uploaded."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from i2i.inference.conversion import Conversion, reason
from i2i.inference.origins import Recording
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Stamp
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders
from i2i.inference.remote.record import write_lines

_AT_ONCE = 8  # files that are copied together
_MANY = 8  # uploads, of which all fail only where none can succeed
_TRIES = 3
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "memory"}  # which write whole or not at all


@contextlib.contextmanager
def local_copies(folders: RemoteFolders, jobs: list[Job]) -> Iterator[LocalCopies]:
    """Copy the jobs' remote sources to a temporary folder, which is removed afterwards."""
    with TemporaryDirectory(prefix="i2i-") as folder:
        yield LocalCopies(folders, jobs, Path(folder))


class LocalCopies:
    """The jobs of a chunk on local files.

    Attributes:
        jobs: the same jobs, those whose sources could be copied, with local files in place of remote ones.
    """

    def __init__(self, folders: RemoteFolders, jobs: list[Job], folder: Path) -> None:
        self._folders, self._folder = folders, folder
        self._failed: dict[Path, str] = {}
        self._identities: dict[Path, tuple[str, Stamp]] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._copy, dict.fromkeys(job.source for job in jobs)))
        self._of: dict[Job, Job] = {self._local(job): job for job in jobs if job.source not in self._failed}
        self.jobs = list(self._of)

    def identity_of(self, source: Path) -> tuple[str, Stamp]:
        """The path and the stamp of what a local file is a copy of, as they were before it was copied."""
        return self._identities[source]

    def finish(self, result: Conversion, recording: Recording) -> Conversion:
        """Upload what was written to a remote folder and record it; the result names the jobs as they were given."""
        done = Conversion(failed=dict(self._failed), stopped=result.stopped)
        named = {local.source: job.source for local, job in self._of.items()}
        done.failed |= {named[path]: why for path, why in result.failed.items()}
        for note, paths in result.notes.items():
            done.notes[note] = [named[path] for path in paths]
        if not self._folders.target:
            done.written = [self._of[local] for local in result.written]
            return done
        uploaded: dict[tuple[str, Stamp], Origin] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stamps = pool.map(self._upload, result.written)
            for local, stamp in zip(result.written, stamps, strict=True):
                job = self._of[local]
                if isinstance(stamp, Stamp):
                    done.written.append(job)
                    origin = Origin(recording.settings_for(job), *self._identities[local.source])
                    uploaded[job.target.as_posix(), stamp] = origin
                else:
                    done.failed[job.source] = f"can't write {job.target}: {stamp}"
        if len(result.written) >= _MANY and not uploaded:
            done.stopped = done.stopped or f"{self._folders.target} can't be written: {stamp}"
        self._record(uploaded, done)
        return done

    def _upload(self, local: Job) -> Stamp | str:
        """Upload an output; its stamp, or why it can't be written."""
        target, name = RemoteFolder.at(self._folders.target), self._of[local].target
        try:
            upload(target, local.target, name)
            return target.stamp(name)
        except Exception as error:  # each storage has errors of its own
            return reason(error)

    def _record(self, uploaded: dict[tuple[str, Stamp], Origin], done: Conversion) -> None:
        """Record what was uploaded, or stop: what isn't recorded is of an unknown model."""
        for attempt in range(_TRIES):
            try:
                write_lines(RemoteFolder.at(self._folders.target), uploaded)
                return
            except Exception as error:
                why = reason(error)
                time.sleep(attempt)
        done.stopped = f"the record of {self._folders.target} can't be written: {why}"

    def _copy(self, source: Path) -> None:
        local = self._local_source(source)
        try:
            self._identities[local] = self._folders.identity_of(source)
            if self._folders.source:
                folder = RemoteFolder.at(self._folders.source)
                local.parent.mkdir(parents=True, exist_ok=True)
                folder.fs.get_file(folder.path(source), str(local))
        except Exception as error:
            self._failed[source] = reason(error)

    def _local(self, job: Job) -> Job:
        target = self._folder / "out" / job.target if self._folders.target else job.target
        return job._replace(source=self._local_source(job.source), target=target)

    def _local_source(self, source: Path) -> Path:
        return self._folder / "in" / source if self._folders.source else source


def upload(folder: RemoteFolder, file: Path, name: Path) -> None:
    """Write a file whole or not at all: where the storage doesn't, it is renamed once it is whole."""
    fs, path = folder.fs, folder.path(name)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else {*fs.protocol}
    if protocols & _OBJECT_STORES:
        fs.put_file(str(file), path)
        return
    parent, _, last = path.rpartition("/")
    fs.makedirs(parent, exist_ok=True)
    temporary = f"{parent}/.i2i-{uuid.uuid4().hex}-{last}.part"
    try:
        fs.put_file(str(file), temporary)
        fs.mv(temporary, path)
    finally:
        with contextlib.suppress(Exception):
            fs.rm_file(temporary)
