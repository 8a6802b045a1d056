"""The pretrained models that `pretrained/index.json` lists."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from i2i.errors import UsageError
from i2i.files import sha256_of
from i2i.pretrained.download import download
from i2i.storage import cache_folder


@dataclass(frozen=True)
class Entry:
    """An entry of `pretrained/index.json`.

    Attributes:
        file: the model file: in the package, or of an entry with a `url` where it is downloaded to.
        sha256: its SHA-256 sum.
        description: what the model does, in a few words.
        direction: names of the domains, such as "map -> sat".
        licence: what the weights may be used for.
        scores: on held-out images, in short.
        thumbnail: an image with inputs above their outputs.
        palette: colours to draw its inputs with, by what they stand for: {"road": "#fffffc"}.
        url: where the model file is downloaded from when it is first used; empty for one in the package.
    """

    file: Path
    sha256: str
    description: str
    direction: str
    licence: str
    scores: str
    thumbnail: Path
    palette: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    def available(self) -> Path:
        """The model file, after downloading it if necessary.

        Raises:
            UsageError: it is missing, can't be downloaded, or differs from the published file.
        """
        if self.url and not self.file.is_file():
            download(self.url, self.file, sha256=self.sha256)
        _verify(self.file, self.sha256, downloaded=bool(self.url))
        return self.file


def folder() -> Path:
    """Folder of the pretrained models: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "_pretrained"
    return inside if inside.is_dir() else package.parent / "pretrained"


@functools.cache
def pretrained() -> dict[str, Entry]:
    """The pretrained models by name."""
    index = folder() / "index.json"
    entries = json.loads(index.read_text()) if index.is_file() else {}
    return {name: _entry(**entry) for name, entry in sorted(entries.items())}


def _entry(*, file: str, thumbnail: str, **others: str) -> Entry:
    where = cache_folder() if others.get("url") else folder()
    return Entry(file=where / file, thumbnail=folder() / thumbnail, **others)  # type: ignore[arg-type]


@functools.cache
def _verify(file: Path, sha256: str, *, downloaded: bool) -> None:
    advice = "remove it, so that it is downloaded again" if downloaded else "install i2i-toolkit again"
    if not file.is_file():
        raise UsageError(f"{file}: the file of this pretrained model is missing; {advice}")
    if sha256_of(file) != sha256:
        raise UsageError(f"{file}: not the file that was published (its SHA-256 differs); {advice}")
