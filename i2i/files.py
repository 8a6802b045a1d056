"""Atomic writes: a file is written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: temporary files of killed processes stay
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = ".i2i-"


def write_whole(
    path: Path, write: bytes | Callable[[Path], object], *, before_rename: Callable[[Path], object] | None = None
) -> None:
    """Write a temporary file in the same folder, then rename it; folders are created as needed.

    The temporary file is locked while it is written, so that `remove_abandoned` can tell it from one of a killed
    process.

    Args:
        path: the file.
        write: the contents, or a function that writes them to the path it is given.
        before_rename: called with the path of the complete temporary file.

    Raises:
        OSError: the folder can't be written, or the disk is full; it names `path`, and an older file there is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, lock = _locked_beside(path)
    mode = stat.S_IMODE(temporary.stat().st_mode)  # by the umask; safetensors would make it private
    try:
        with lock:
            if isinstance(write, bytes):
                temporary.write_bytes(write)
            else:
                write(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(mode)
            if before_rename:
                before_rename(temporary)
            temporary.replace(path)
    except Exception as error:
        refused = _refusal(error)
        if refused is None or refused.errno is None:
            raise
        raise OSError(refused.errno, refused.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def _refusal(error: Exception) -> OSError | None:
    """The OSError behind a failed write: torch raises another error while handling it, safetensors quotes it."""
    for cause in (error, error.__context__):
        if isinstance(cause, OSError):
            return cause
    quoted = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(quoted[1]), os.strerror(int(quoted[1]))) if quoted else None


def remove_temporary(*folders: Path) -> None:
    """Remove the temporary files of killed processes from folders that no other process writes."""
    for folder in folders:
        for path in folder.glob(f"{_TEMPORARY}*"):
            path.unlink()


def remove_abandoned(folder: Path, *, suffixes: Collection[str]) -> None:
    """Remove temporary files of killed processes with these suffixes from a folder, but none that is being written."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = re.fullmatch(rf"{re.escape(_TEMPORARY)}[0-9a-f]{{32}}(\.\w+)?", entry.name)
            if found and (found[1] or "").lower() in suffixes and entry.is_file(follow_symlinks=False):
                _remove_unlocked(Path(entry.path))


def _locked_beside(path: Path) -> tuple[Path, AbstractContextManager[object]]:
    """A new, empty temporary file, and the open file that holds its lock."""
    while True:
        temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}{path.suffix}")
        file = temporary.open("xb")
        if fcntl is None:
            file.close()  # Windows can't rename an open file
            return temporary, contextlib.nullcontext()
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have removed it as abandoned before it was locked.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(temporary.stat(), os.fstat(file.fileno())):
                return temporary, file
        file.close()


def _remove_unlocked(path: Path) -> None:
    if fcntl is None:
        return
    with contextlib.suppress(OSError), path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while a process writes it
        path.unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that one process at a time has; the empty file of the lock is left. Its folder is made.

    Nothing is locked on Windows, and on file systems without locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256_of(file: Path) -> str:
    """The SHA-256 sum of a file, as hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
