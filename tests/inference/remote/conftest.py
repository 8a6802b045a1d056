from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from support.images import noise


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """An object store with three images, which are also in the folder `local`, a hidden one and a text."""
    memory = fsspec.filesystem("memory")
    for name, seed in (("1.png", 1), ("sub/2.png", 2), ("sub/3.png", 3)):
        file = tmp_path / "local" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(32, 32, 3, seed=seed)).save(file)
        memory.pipe_file(f"/photos/{name}", file.read_bytes())
    memory.pipe_file("/photos/.hidden.png", b"hidden")
    memory.pipe_file("/photos/notes.txt", b"text")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
