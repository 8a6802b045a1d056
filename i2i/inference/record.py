"""The record of an output folder: model, options and source of each output, in a hidden file of JSON lines.

A line is added before an output is renamed to its final name, with size and modification time of the output and of its
source. So a line that a killed conversion leaves without its output matches no file, and a torn line is skipped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from i2i.errors import setting
from i2i.files import write_whole

try:
    import fcntl
except ImportError:  # on Windows, where the record is never compacted
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from i2i.inference.translator import Translator

RECORD = ".i2i.jsonl"


class OutputFolderError(OSError):
    """The output folder is gone or isn't writable: no other output can be written either."""


class Stamp(NamedTuple):
    """Size in bytes and modification time in nanoseconds, by which a changed file is recognised without reading it."""

    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file; OSError where there is none."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Settings:
    """What an output depends on besides its source.

    Attributes:
        model: checksum of the generator; see `fingerprint`.
        tile: size of the tiles in pixels, or None.
        seed: of the latent, or None.
        quality: JPEG quality, or None for other formats.
        invert_dark: whether mostly dark images are inverted first.
        name: the model as the user named it.
        to: the domain translated to.
    """

    model: str
    tile: int | None = None
    seed: int | None = None
    quality: int | None = None
    invert_dark: bool = False
    name: str = field(default="", compare=False)
    to: str = field(default="", compare=False)


class Origin(NamedTuple):
    """The options and the source that an output was made with: `path` is a checksum of the source's path."""

    settings: Settings
    path: str
    stamp: Stamp


def fingerprint(translator: Translator) -> str:
    """Checksum of what a translator computes; the same on every device."""
    digest = hashlib.sha256(f"{translator.backend.spec} {translator.widens_to_16_bit}".encode())
    translator.backend.hash_weights(digest)
    return digest.hexdigest()[:32]


def identity(source: Path) -> tuple[str, Stamp]:
    """A checksum of a file's path, and its stamp; OSError if there is no such file."""
    return path_checksum(os.fsencode(source.resolve())), Stamp.of(source)


def path_checksum(path: bytes) -> str:
    """The checksum of a path that is recorded."""
    return hashlib.sha256(path).hexdigest()[:16]


def differences(before: Origin, now: Origin) -> str:
    """How an output was made, if it would be made differently now; else empty.

    A source that was moved is the same source; another file under its name isn't.
    """
    old, new = before.settings, now.settings
    if old.model != new.model and (old.name, old.to) == (new.name, new.to):
        return f"by {old.name} with other weights, such as before more training"
    if old.model != new.model:
        return f"by another model ({old.name} to {old.to})"
    if old.tile != new.tile:
        return f"with {setting('tile', old.tile)}" if old.tile else f"without {setting('tile')}"
    if old.seed != new.seed:
        return f"with {setting('seed', old.seed)}"
    if old.quality != new.quality:
        return f"with {setting('quality', old.quality)}"
    if old.invert_dark != new.invert_dark:
        return f"{'with' if old.invert_dark else 'without'} {setting('invert_dark')}"
    if before.path != now.path and before.stamp != now.stamp:
        return "from another image of that name"
    return ""


class Record:
    """The record of an output folder; several threads and processes may add to it.

    Args:
        folder: the output folder; nothing is written before the first `add`, which makes it if it doesn't exist.
        made: whether the folder has been made, so that it was removed if it doesn't exist.
    """

    def __init__(self, folder: Path, *, made: bool = False) -> None:
        self.folder, self.path, self._was_made = folder, folder / RECORD, made
        self._made: dict[tuple[str, Stamp], Origin] = {}
        self._lines = 0
        self._file: BinaryIO | None = None
        self._identity: os.stat_result | None = None
        self._known: set[Settings] = set()
        self._adding = threading.Lock()

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read the record of a folder; empty if there is none that can be read."""
        record = cls(folder)
        try:
            lines = record.path.read_bytes().splitlines()
        except OSError:
            return record
        record._made, record._lines = parse(lines), len(lines)
        return record

    def __contains__(self, path: Path) -> bool:
        return self.origin_of(path) is not None

    def origin_of(self, path: Path) -> Origin | None:
        """The origin of a file; None if it isn't known, or if the file has been changed since."""
        try:
            return self._made.get((self._name(path), Stamp.of(path))) if self._made else None
        except (OSError, ValueError):
            return None

    def add(self, target: Path, stamp: Stamp, made: Origin) -> None:
        """Add a line for a file that is about to be renamed to its final name.

        Raises:
            OutputFolderError: the folder has been removed or replaced, or can't be written.
            OSError: the disk is full.
        """
        self.check()
        with self._adding:
            if self._file is None or not _is(self.path, os.fstat(self._file.fileno())):
                self.close()
                self._file, self._known = self._open(), set()
            known = set(self._known)
            text = lines_of(self._name(target), stamp, made, known).encode()
            if self._file.write(b"\n" + text) <= len(text):  # on a new line, as the last one may be torn
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._known = known

    def check(self) -> None:
        """Make the folder the first time; later check that it still exists.

        Raises:
            OutputFolderError: it can't be made, or has been removed or replaced.
        """
        with self._adding:
            if self._identity is None:
                try:
                    if not self._was_made:
                        self.folder.mkdir(parents=True, exist_ok=True)
                    self._identity = self.folder.stat()
                except OSError as error:
                    raise OutputFolderError(error.errno, f"{self.folder}: {error.strerror}") from error
            elif not _is(self.folder, self._identity):
                raise OutputFolderError(errno.ENOENT, f"{self.folder} was removed or replaced in the meantime")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        while True:
            try:
                file = self.path.open("ab", buffering=0)
            except PermissionError as error:
                raise OutputFolderError(error.errno, f"{self.path}: {error.strerror}") from error
            if self._lines > 2 * len({name for name, _ in self._made}) + 100 and _lock(file, exclusive=True):
                self._compact()
            _lock(file, exclusive=False)
            if _is(self.path, os.fstat(file.fileno())):
                return file
            file.close()  # it was compacted

    def _compact(self) -> None:
        """Rewrite the record without the lines that match no file."""
        now, known = Record.read(self.folder), set[Settings]()
        kept = [(key, made) for key, made in now._made.items() if now.origin_of(self.folder / key[0]) is made]
        write_whole(self.path, "\n".join(lines_of(*key, made, known) for key, made in kept).encode())
        self._lines = 0

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def parse(lines: Iterable[bytes]) -> dict[tuple[str, Stamp], Origin]:
    """The origins of files, by their names and stamps; lines that are torn or of another version are skipped."""
    named, made = dict[str, Settings](), dict[tuple[str, Stamp], Origin]()
    for text in lines:
        try:
            line = json.loads(text)
            if "key" in line:
                key = line.pop("key")
                named[key] = Settings(**line)
            else:
                path, *source = line["source"]
                key = line["file"], Stamp(*line["stamp"])
                made.pop(key, None)  # so that the order is that of the last lines
                made[key] = Origin(named[line["settings"]], path, Stamp(*source))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
    return made


def lines_of(name: str, stamp: Stamp, made: Origin, known: set[Settings]) -> str:
    """The line of a file, after that of its settings if those aren't in the record yet."""
    settings = asdict(made.settings)
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    line = json.dumps({"file": name, "stamp": stamp, "source": [made.path, *made.stamp], "settings": key})
    if made.settings in known:
        return line
    known.add(made.settings)
    return f"{json.dumps({'key': key, **settings})}\n{line}"


def _is(path: Path, known: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), known)
    except OSError:
        return False


def _lock(file: BinaryIO, *, exclusive: bool) -> bool:
    """Lock until the file is closed; an exclusive lock is only tried, a shared one waited for."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:  # locked, or a file system without locks
        return False
    return True
