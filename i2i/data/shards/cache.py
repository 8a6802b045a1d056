"""Local copies of remote shards, in a folder of bounded size that all processes of a machine share."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from i2i.data.shards.storage import fetch
from i2i.errors import ImageError
from i2i.files import locked, remove_abandoned, write_whole
from i2i.storage import cache_folder

_TRIES, _WAIT = 3, 1.0  # for a download, and seconds before the second


def default_folder() -> Path:
    """The cache folder of the user."""
    return cache_folder() / "shards"


@dataclass(frozen=True)
class ShardCache:
    """Copies of remote shards, and indices of all. The copies used least recently are removed first.

    Attributes:
        folder: where they are.
        max_bytes: of all copies together; the one that is fetched may exceed it.
    """

    folder: Path = field(default_factory=default_folder)
    max_bytes: int = 50 * 10**9

    @classmethod
    def of(cls, folder: str, *, gigabytes: float) -> ShardCache:
        """The cache in a folder, or in that of the user where it is empty."""
        return cls(Path(folder).resolve() if folder else default_folder(), int(gigabytes * 1e9))

    def open(self, url: str, *, size: int, version: str) -> int:
        """Open the copy of a shard, after fetching it if necessary; a file descriptor.

        Raises:
            ImageError: it can't be fetched.
        """
        path = self.path(url, version, ".tar")
        while True:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                _touch(path)
                return descriptor
            self._fetch(url, path, size)

    def prefetch(self, url: str, *, size: int, version: str) -> None:
        """Fetch a shard in the background if it isn't there, or keep it for now; errors are left to `open`."""
        path = self.path(url, version, ".tar")
        pending = _in_background(os.getpid())
        if path in pending or _touch(path):
            return

        def fetch_quietly() -> None:
            with contextlib.suppress(ImageError, OSError):
                self._fetch(url, path, size)
            pending.discard(path)

        pending.add(path)
        threading.Thread(target=fetch_quietly, daemon=True).start()

    def path(self, url: str, version: str, suffix: str) -> Path:
        """The file of what is kept of a shard."""
        return self.folder / (hashlib.sha256(f"{url}\n{version}".encode()).hexdigest()[:32] + suffix)

    def _fetch(self, url: str, path: Path, size: int) -> None:
        with locked(path.with_suffix(".lock")):
            if path.exists():  # another process was quicker
                return
            for left in reversed(range(_TRIES)):
                try:
                    write_whole(path, functools.partial(_download, url, size=size))
                    break
                except Exception as error:  # each storage has errors of its own
                    if not left or isinstance(error, FileNotFoundError):
                        reason = str(error).strip() or type(error).__name__
                        raise ImageError(f"{url}: can't be fetched: {reason.splitlines()[0]}") from None
                    time.sleep(_WAIT * (_TRIES - left))
            self._evict(keep=path)

    def _evict(self, *, keep: Path) -> None:
        remove_abandoned(self.folder, suffixes=(".tar",))
        found = []
        for path in self.folder.glob("*.tar"):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.max_bytes:
                return
            if path != keep and not path.name.startswith("."):
                with contextlib.suppress(OSError):  # another process was quicker, or on Windows reads it
                    path.unlink()
                total -= size


def _download(url: str, path: Path, *, size: int) -> None:
    fetch(url, path)
    _touch(path)
    found = path.stat().st_size
    if found != size:
        raise OSError(f"{found} bytes arrived of {size}")


def _touch(path: Path) -> bool:
    """Note that a copy is used now; False where it isn't there, as another process may have removed it."""
    now = time.time_ns()  # that of the file system may be some milliseconds behind
    try:
        os.utime(path, ns=(now, now))
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=1)
def _in_background(_process: int) -> set[Path]:
    """What threads of this process fetch: a worker that was forked inherits no threads."""
    return set()
