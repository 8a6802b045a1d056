"""What made each file of an output folder: model, options and source, kept in a hidden file of JSON lines.

A line is added before an output gets its name, with the size and modification time of the output and of its source. A
line that a killed conversion leaves without its output therefore matches no file, and a torn line is skipped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import torch

from i2i.files import write_whole

try:
    import fcntl
except ImportError:  # Windows, where the record is never compacted
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from i2i.inference.translator import Translator

RECORD = ".i2i.jsonl"


class OutputFolderError(OSError):
    """The output folder is gone or can't be written, so that no output can be."""


class Stamp(NamedTuple):
    """What tells a file from a changed one without reading it: bytes, and time of modification in nanoseconds."""

    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file; OSError where there is none."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class Settings:
    """What an output depends on beside its source.

    Attributes:
        model: checksum of the generator; see `fingerprint`.
        tile: size of the tiles in pixels, or None.
        seed: of the latent, or None.
        quality: of JPEG, or None for other formats.
        name: the model as the user gave it.
        to: the domain that is translated to.
    """

    model: str
    tile: int | None = None
    seed: int | None = None
    quality: int | None = None
    name: str = field(default="", compare=False)
    to: str = field(default="", compare=False)


class Origin(NamedTuple):
    """What an output was made from and with; `path` is a checksum of the source's path."""

    settings: Settings
    path: str
    stamp: Stamp


def fingerprint(translator: Translator) -> str:
    """Checksum of a generator's spec and weights; the same on every device."""
    generator = translator.generator
    digest = hashlib.sha256(f"{generator.spec} {translator.widens_to_16_bit}".encode())
    for name, tensor in generator.state_dict().items():
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(values.view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def origin(source: Path, settings: Settings) -> Origin:
    """What an output of this source is made from and with; OSError where there is no such file."""
    path = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]
    return Origin(settings, path, Stamp.of(source))


def differences(was: Origin, now: Origin) -> str:
    """How an output was made otherwise than it would be now, in words; empty where it would be the same again.

    A source that was moved is the same one; another one of the same name isn't.
    """
    then, wanted = was.settings, now.settings
    if then.model != wanted.model and (then.name, then.to) == (wanted.name, wanted.to):
        return f"by {then.name} with other weights, such as before more training"
    if then.model != wanted.model:
        return f"by another model ({then.name} to {then.to})"
    if then.tile != wanted.tile:
        return f"with --tile {then.tile}" if then.tile else "without --tile"
    if then.seed != wanted.seed:
        return f"with --seed {then.seed}"
    if then.quality != wanted.quality:
        return f"with --quality {then.quality}"
    if was.path != now.path and was.stamp != now.stamp:
        return "from another image of that name"
    return ""


class Record:
    """The record of an output folder; several threads and processes may add to it.

    Args:
        folder: the output folder, which need not exist; nothing is written before the first `add`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / RECORD
        self._made: dict[tuple[str, Stamp], Origin] = {}
        self._lines = 0
        self._file: BinaryIO | None = None
        self._identity: os.stat_result | None = None
        self._known: set[Settings] = set()
        self._adding = threading.Lock()

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read what is recorded of a folder; nothing where there is no record, or none that can be read."""
        record, named = cls(folder), dict[str, Settings]()
        try:
            lines = record.path.read_bytes().splitlines()
        except OSError:
            return record
        for text in lines:
            try:
                line = json.loads(text)
                if "key" in line:
                    key = line.pop("key")
                    named[key] = Settings(**line)
                else:
                    path, *source = line["source"]
                    made = Origin(named[line["settings"]], path, Stamp(*source))
                    record._made[line["file"], Stamp(*line["stamp"])] = made
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # torn, or of another version
        record._lines = len(lines)
        return record

    def __contains__(self, path: Path) -> bool:
        return self.origin_of(path) is not None

    def origin_of(self, path: Path) -> Origin | None:
        """What made a file; None where it isn't known, or where the file has been changed since."""
        try:
            return self._made.get((self._name(path), Stamp.of(path))) if self._made else None
        except (OSError, ValueError):
            return None

    def add(self, target: Path, stamp: Stamp, made: Origin) -> None:
        """Add a line for a file that is about to get its name.

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
            text = _lines(self._name(target), stamp, made, known).encode()
            if self._file.write(b"\n" + text) <= len(text):  # below whatever line was torn
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._known = known

    def check(self) -> None:
        """Make the folder at first; later see that it is still there.

        Raises:
            OutputFolderError: it can't be made, or has been removed or replaced.
        """
        with self._adding:
            if self._identity is None:
                try:
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
        """Write the record anew without the lines that match no file."""
        now, known = Record.read(self.folder), set[Settings]()
        kept = [(key, made) for key, made in now._made.items() if now.origin_of(self.folder / key[0]) is made]
        write_whole(self.path, "\n".join(_lines(*key, made, known) for key, made in kept).encode())
        self._lines = 0

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _lines(name: str, stamp: Stamp, made: Origin, known: set[Settings]) -> str:
    """The line of a file, below that of its settings where those aren't known yet."""
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
    """Lock until it is closed: exclusively if no other process holds it, else shared, after a wait."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:  # locked, or a file system without locks
        return False
    return True
