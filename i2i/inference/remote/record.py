"""The record of a remote output folder: JSON lines as in a local one, in an object for each chunk."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from i2i.inference.origins import Origins, Recording
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Record, Settings, Stamp, lines_of, parse
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders

PARTS = ".i2i"  # the folder of the objects
_MANY = 100  # objects, from which on they are made one


class RemoteRecord:
    """What made each file of a remote folder: model, options and source.

    Args:
        made: the origins of files by their names and stamps.
        parts: the objects that they were read from.
    """

    def __init__(self, made: Mapping[tuple[str, Stamp], Origin], parts: list[str]) -> None:
        self.made, self._parts = dict(made), parts
        self._names = {name for name, _ in self.made}

    @classmethod
    def read(cls, folder: RemoteFolder) -> RemoteRecord:
        """Read the record of a folder; empty if there is none."""
        fs = folder.fs
        fs.invalidate_cache()
        parts = sorted(path for path in fs.find(folder.path(PARTS)) if path.endswith(".jsonl"))  # by their times
        contents = [fs.cat_file(part) for part in parts]
        return cls(parse(line for content in contents for line in content.splitlines()), parts)

    def origin_of(self, folder: RemoteFolder, name: str, listed: Stamp) -> Origin | None:
        """The origin of a file with the stamp that a list of the folder gives; None if it isn't known."""
        if name not in self._names:
            return None
        made = self.made.get((name, listed))
        # Some storages say less of a file in a list than when they are asked for it alone.
        return made or self.made.get((name, folder.stamp(name)))

    def compact(self, folder: RemoteFolder, files: Mapping[str, Stamp]) -> None:
        """Make many objects one, of the last line of each file that is there."""
        if len(self._parts) < _MANY:
            return
        last = {name: (stamp, made) for (name, stamp), made in self.made.items() if name in files}
        write_lines(folder, {(name, stamp): made for name, (stamp, made) in last.items()})
        for part in self._parts:
            folder.fs.rm_file(part)


def write_lines(folder: RemoteFolder, made: Mapping[tuple[str, Stamp], Origin]) -> None:
    """Add an object with the origins of files."""
    known = set[Settings]()
    lines = [lines_of(name, stamp, origin, known) for (name, stamp), origin in made.items()]
    if lines:
        folder.fs.makedirs(folder.path(PARTS), exist_ok=True)
        part = f"{PARTS}/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.jsonl"
        folder.fs.pipe_file(folder.path(part), "\n".join(lines).encode())


class RemoteOrigins:
    """What is known of the outputs in a remote folder; see `i2i.inference.origins.Known`.

    Args:
        recording: what outputs depend on.
        folders: of the conversion.
    """

    def __init__(self, recording: Recording, folders: RemoteFolders) -> None:
        self.folder, self._recording, self._sources = folders.target, recording, _Sources(folders)
        self._target = RemoteFolder.at(folders.target)
        self._record = RemoteRecord.read(self._target)
        self._files = self._target.files()
        self._record.compact(self._target, self._files)

    def exists(self, target: Path) -> bool:
        """Whether there is such an output."""
        return target.as_posix() in self._files

    def before(self, target: Path) -> Origin | None:
        """The origin of an output; None if it isn't known."""
        name = target.as_posix()
        return self._record.origin_of(self._target, name, self._files[name]) if name in self._files else None

    def of(self, job: Job) -> Origin:
        """The source and options that an output would be made with now; OSError if there is no such source."""
        return self._sources.origin(job, self._recording, self.before(job.target))


class OriginsOfRemote(Origins):
    """What is known of the outputs in a local folder, of remote sources."""

    def __init__(self, recording: Recording, record: Record, folders: RemoteFolders) -> None:
        super().__init__(recording, record, identity_of=folders.identity_of)
        self._sources = _Sources(folders)

    def of(self, job: Job) -> Origin:
        """The source and options that an output would be made with now; OSError if there is no such source."""
        return self._sources.origin(job, self.recording, self.before(job.target))


class _Sources:
    """The sources of a conversion, of which remote ones are listed once."""

    def __init__(self, folders: RemoteFolders) -> None:
        self._folders = folders
        self._listed = RemoteFolder.at(folders.source).files() if folders.source else {}

    def origin(self, job: Job, recording: Recording, before: Origin | None) -> Origin:
        settings, listed = recording.settings_for(job), self._listed.get(job.source.as_posix())
        if listed is not None and before is not None and before.stamp == listed:
            return Origin(settings, *self._folders.remote_identity(job.source, listed))
        return Origin(settings, *self._folders.identity_of(job.source))  # a list may say less than this asks for
