"""The models that come with i2i, and which file a person means by a name."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from i2i.errors import UsageError, unknown


@dataclass(frozen=True)
class Entry:
    """A line of `pretrained/index.json`: a file, its SHA-256 sum, and what it does in a few words."""

    file: Path
    sha256: str
    description: str


def folder() -> Path:
    """Where the pretrained models are: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "_pretrained"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "pretrained"


@functools.cache
def pretrained() -> dict[str, Entry]:
    """The pretrained models by name."""
    index = folder() / "index.json"
    entries = json.loads(index.read_text()) if index.is_file() else {}
    return {name: Entry(folder() / e["file"], e["sha256"], e["description"]) for name, e in sorted(entries.items())}


def model_file(model: str | Path) -> Path:
    """The file of a model: a path of one, a run's folder, or the name of a pretrained one.

    Raises:
        UsageError: it is none of these, or a pretrained file is not the one that was published.
    """
    path = Path(model)
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise UsageError(
                f"{path}: there is no model.safetensors in this folder; give a run's folder or a model file"
            )
        return path / "model.safetensors"
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise UsageError(f"{path}: there is no such model file")
    if str(model) not in pretrained():
        raise unknown("model", str(model), pretrained())
    entry = pretrained()[str(model)]
    _verify(entry.file, entry.sha256)
    return entry.file


@functools.cache
def _verify(file: Path, sha256: str) -> None:
    if not file.is_file():
        raise UsageError(f"{file}: the file of this pretrained model is missing; install i2i-toolkit again")
    if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise UsageError(f"{file}: not the file that was published (its SHA-256 differs); install i2i-toolkit again")
