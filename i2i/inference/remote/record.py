"""The record of a remote output folder: JSON lines as in a local one, in an object for each chunk."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from i2i.inference.origins import Recording
from i2i.inference.planning import Job
from i2i.inference.record import Origin, Settings, Stamp, lines_of, parse
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders

PARTS = ".i2i"  # the folder of the objects
_MANY = 100  # objects, from which on they are made one


class RemoteRecord:
    """What made each file of a remote folder: model, options and source.

    Args:
        made: the origins of files by their names and stamps.
    """

    def __init__(self, made: Mapping[tuple[str, Stamp], Origin], parts: list[str]) -> None:
        self.made, self._parts = dict(made), parts
        self._names = {name for name, _ in self.made}

    @classmethod
    def read(cls, folder: RemoteFolder) -> RemoteRecord:
        """Read the record of a folder; empty if there is none."""
        fs = folder.fs
        fs.invalidate_cache()
        parts = sorted(path for path in fs.find(folder.path(PARTS)) if path.endswith(".jsonl"))
        contents = [fs.cat_file(part) for part in parts]
        return cls(parse(line for content in contents for line in content.splitlines()), parts)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def compact(self, folder: RemoteFolder, files: Mapping[str, Stamp]) -> None:
        """Make many objects one, without lines that match no file."""
        if len(self._parts) < _MANY:
            return
        kept = {(name, stamp): made for (name, stamp), made in self.made.items() if files.get(name) == stamp}
        write_lines(folder, kept)
        for part in self._parts:
            folder.fs.rm_file(part)


def write_lines(folder: RemoteFolder, made: Mapping[tuple[str, Stamp], Origin]) -> None:
    """Add an object with the origins of files."""
    known = set[Settings]()
    lines = [lines_of(name, stamp, origin, known) for (name, stamp), origin in made.items()]
    if lines:
        folder.fs.makedirs(folder.path(PARTS), exist_ok=True)
        folder.fs.pipe_file(folder.path(f"{PARTS}/{uuid.uuid4().hex}.jsonl"), "\n".join(lines).encode())


class RemoteOrigins:
    """What is known of the outputs in a remote folder; see `i2i.inference.origins.Known`.

    Args:
        recording: what outputs depend on.
        folders: of the conversion.
        sources: the stamps of remote sources, by their relative names.
    """

    def __init__(self, recording: Recording, folders: RemoteFolders, sources: Mapping[str, Stamp]) -> None:
        self.folder, self._recording, self._folders, self._sources = folders.target, recording, folders, sources
        target = RemoteFolder.at(folders.target)
        self._files, record = target.files(), RemoteRecord.read(target)
        record.compact(target, self._files)
        self._target, self._record = target, record

    def exists(self, target: Path) -> bool:
        """Whether there is such an output."""
        return target.as_posix() in self._files

    def before(self, target: Path) -> Origin | None:
        """The origin of an output; None if it isn't known."""
        name = target.as_posix()
        if name not in self._files or name not in self._record:
            return None
        made = self._record.made.get((name, self._files[name]))
        # Some storages say less of a file in a list than when they are asked for it alone.
        return made or self._record.made.get((name, self._target.stamp(name)))

    def of(self, job: Job) -> Origin:
        """The source and options that an output would be made with now; OSError if there is no such source."""
        settings = self._recording.settings_for(job)
        before, stamp = self.before(job.target), self._sources.get(job.source.as_posix())
        if stamp is not None and before is not None and before.stamp == stamp:
            return Origin(settings, *self._folders.remote_identity(job.source, stamp))
        return Origin(settings, *self._folders.identity_of(job.source))
