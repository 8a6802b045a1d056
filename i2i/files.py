"""Files are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

_TEMPORARY = ".i2i-"


def write_whole(path: Path, write: bytes | Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it, then rename it; folders are made as needed.

    Args:
        path: the file.
        write: its contents, or a function that writes them to the path it is given.

    Raises:
        OSError: the folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}{path.suffix}")
    try:
        if isinstance(write, bytes):
            temporary.write_bytes(write)
        else:
            write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary(*folders: Path) -> None:
    """Remove the temporary files that a killed `write_whole` left in folders in which nobody else writes now."""
    for folder in folders:
        for path in folder.glob(f"{_TEMPORARY}*"):
            path.unlink()
