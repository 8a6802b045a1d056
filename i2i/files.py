"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: bytes | Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it, then rename it; folders are made as needed.

    Args:
        path: the file.
        write: its contents, or a function that writes them to the path it is given.

    Raises:
        OSError: the folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".i2i-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        if isinstance(write, bytes):
            temporary.write_bytes(write)
        else:
            write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
