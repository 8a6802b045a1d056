"""Local copies of a chunk's remote sources, and of its outputs until they are uploaded."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from i2i.inference.conversion import Conversion, reason
from i2i.inference.origins import Recording
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Stamp
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders
from i2i.inference.remote.record import write_lines

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
        for source in dict.fromkeys(job.source for job in jobs):
            self._copy(source)
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
        uploaded: dict[tuple[str, Stamp], Origin] = {}
        for local in result.written:
            job = self._of[local]
            try:
                if self._folders.target:
                    target = RemoteFolder.at(self._folders.target)
                    upload(target, local.target, job.target)
                    key = job.target.as_posix(), target.stamp(job.target)
                    uploaded[key] = Origin(recording.settings_for(job), *self._identities[local.source])
            except Exception as error:  # each storage has errors of its own
                done.failed[job.source] = f"can't write {job.target}: {reason(error)}"
            else:
                done.written.append(job)
        if uploaded:
            write_lines(RemoteFolder.at(self._folders.target), uploaded)
        return done

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
