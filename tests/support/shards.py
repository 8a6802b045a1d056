"""Small tar shards, and a web server that counts what it serves."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def png(level: int, size: tuple[int, int] = (12, 12)) -> bytes:
    """A PNG file of one grey level, (width, height)."""
    file = io.BytesIO()
    Image.fromarray(np.full(size[::-1], level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """A tar file of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def pair_shards(folder: Path, counts: list[int], *, split: str = "train", first: int = 0) -> list[Path]:
    """Shards of so many pairs each: sample n has level n in a, and 255 - n in b."""
    paths, number = [], first
    for shard, count in enumerate(counts):
        members = {}
        for level in range(number, number + count):
            members |= {f"{level:06d}.a.png": png(level), f"{level:06d}.b.png": png(255 - level)}
        paths.append(write_tar(folder / f"{split}-{shard:06d}.tar", members))
        number += count
    return paths


class Served:
    """What a web server has sent: how often each file, and how many bytes."""

    def __init__(self, url: str) -> None:
        self.url, self.files, self.failing = url, Counter[str](), Counter[str]()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder on this machine. The next `failing[name]` requests for a file get the answer 503."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            if found.failing[name] > 0:
                found.failing[name] -= 1
                self.send_error(503)
                return
            found.files[name] += 1
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        found = Served(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
