"""The pretrained models that come with i2i, and the file that a model argument means."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from i2i.errors import UsageError, unknown
from i2i.files import sha256_of


@dataclass(frozen=True)
class Entry:
    """An entry of `pretrained/index.json`.

    Attributes:
        file: the model file.
        sha256: its SHA-256 sum.
        description: what the model does, in a few words.
        direction: names of the domains, such as "map -> sat".
        licence: what the weights may be used for.
        scores: on held-out images, in short.
        thumbnail: an image with inputs above their outputs.
        palette: colours to draw its inputs with, by what they stand for: {"road": "#fffffc"}.
    """

    file: Path
    sha256: str
    description: str
    direction: str
    licence: str
    scores: str
    thumbnail: Path
    palette: Mapping[str, str] = field(default_factory=dict)


def folder() -> Path:
    """Folder of the pretrained models: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "_pretrained"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "pretrained"


@functools.cache
def pretrained() -> dict[str, Entry]:
    """The pretrained models by name."""
    index = folder() / "index.json"
    entries = json.loads(index.read_text()) if index.is_file() else {}
    files = {"file", "thumbnail"}
    return {
        name: Entry(**{key: folder() / value if key in files else value for key, value in entry.items()})
        for name, entry in sorted(entries.items())
    }


def model_file(model: str | Path, *, which: Literal["last", "best"] = "last") -> Path:
    """The file of a model: a path of one, a run's folder, or the name of a pretrained one.

    Args:
        model: the path or the name.
        which: for the folder of a run, its last model or the best model in validation.

    Raises:
        UsageError: it is none of these, the best model is requested for something other than a run's folder, or a
            pretrained file is missing or differs from the published one.
    """
    path = Path(model)
    if path.is_dir():
        return _of_run(path, which)
    if which == "best":
        raise UsageError(f"{model}: the best model can be chosen in the folder of a run only")
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise UsageError(f"{path}: there is no such model file")
    if str(model) not in pretrained():
        raise unknown("model", str(model), pretrained())
    entry = pretrained()[str(model)]
    _verify(entry.file, entry.sha256)
    return entry.file


def _of_run(folder: Path, which: Literal["last", "best"]) -> Path:
    file = folder / ("best.safetensors" if which == "best" else "model.safetensors")
    if file.is_file():
        return file
    if which == "best" and (folder / "model.safetensors").is_file():
        raise UsageError(f"{folder}: no best.safetensors in this run, which has only its last model")
    raise UsageError(f"{folder}: there is no {file.name} in this folder; give a run's folder or a model file")


@functools.cache
def _verify(file: Path, sha256: str) -> None:
    if not file.is_file():
        raise UsageError(f"{file}: the file of this pretrained model is missing; install i2i-toolkit again")
    if sha256_of(file) != sha256:
        raise UsageError(f"{file}: not the file that was published (its SHA-256 differs); install i2i-toolkit again")
