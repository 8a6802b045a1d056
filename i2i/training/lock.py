"""A lock on a run folder, so that one run at a time writes it; it ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from i2i.errors import UsageError, setting

NAME = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_held: set[int] = set()
_folders: dict[Path, int] = {}  # kept open, so that no folder made later has their inode


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a run folder; yields False where the file system has no locks.

    The folder is made as needed, and removed again if it ends up empty. The operating system releases the lock when
    this process ends, however it ends; processes forked from it do not keep it.

    Raises:
        UsageError: another process holds the lock; the message names it.
        OSError: the folder can't be made or written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    file, exclusive = _open(path)
    _held.add(file)
    if os.name != "nt":  # where a folder with an open file can't be removed
        _folders[folder.absolute()] = os.open(folder, os.O_RDONLY)
    try:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T UTC", time.gmtime())}
        os.ftruncate(file, 0)
        os.write(file, json.dumps(holder).encode())
        yield exclusive
    finally:
        if file in _held:  # not so in a forked process
            _held.remove(file)
            if os.name == "nt":  # where an open file can't be removed
                os.close(file)
            with contextlib.suppress(OSError):
                path.unlink()
            if os.name != "nt":
                os.close(file)
                os.close(_folders.pop(folder.absolute()))
            with contextlib.suppress(OSError):
                for empty in made:
                    empty.rmdir()


def is_replaced(folder: Path) -> bool:
    """Whether a folder that this process locked was removed since, and another folder has its name."""
    opened = _folders.get(folder.absolute())
    return opened is not None and folder.exists() and not _is_at(folder, opened)


def _open(path: Path) -> tuple[int, bool]:
    """The open lock file, and whether it is locked; another process may remove the file between the two."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            exclusive = _lock(file, path)
            if _is_at(path, file):
                return file, exclusive
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _is_at(path: Path, file: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False


def _lock(file: int, path: Path) -> bool:
    try:
        _lock_now(file)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise
        who, stop = _holder(file)
        folder = path.parent
        raise UsageError(f"{folder} is in use by {who}; wait for it, {stop}or use another {setting('run')}") from None
    return True


def _holder(file: int) -> tuple[str, str]:
    """Who holds a lock, and how to stop it."""
    try:
        holder = json.loads(os.read(file, 4096))
        pid, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
    except (ValueError, KeyError, TypeError):  # the holder has not written it yet
        return "another process", ""
    here = host == socket.gethostname()
    return f"process {pid} on {host} since {since}", f"stop it (kill {pid}), " if here else f"stop it on {host}, "


if sys.platform == "win32":
    import msvcrt

    def _lock_now(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # a locked byte can't be read: not one of the text
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock_now(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go() -> None:
        # A forked process, such as a DataLoader worker, shares the lock until it closes the file.
        for file in _held:
            os.close(file)
        _held.clear()

    os.register_at_fork(after_in_child=_let_go)
