"""The models that a server offers, by name, each loaded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.errors import UsageError, unknown
from i2i.inference.backends.exported import is_export
from i2i.inference.loading import header_of
from i2i.inference.translator import Translator
from i2i.model_file.header import find_direction
from i2i.pretrained import model_file, pretrained
from i2i.progress import logger
from i2i.spec import Spec

if TYPE_CHECKING:
    from i2i.editing import Editor
    from i2i.model_file import Model

PAGE = Path(__file__).parent / "page"
_EDITORS = 16  # photographs whose projections are kept


@dataclass(frozen=True)
class Offered:
    """A model that a server offers.

    Attributes:
        name: by which requests name it.
        file: the model file.
        description: what it does, in a few words.
        licence: what its weights may be used for.
        thumbnail: an image with inputs above their outputs, or None.
        palette: colours to draw its inputs with, by what they stand for.
        examples: inputs to try it on, which come with the page.
    """

    name: str
    file: Path
    description: str = ""
    licence: str = ""
    thumbnail: Path | None = None
    palette: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Path, ...] = ()

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header of the model file."""
        return header_of(self.file)

    @property
    def edits(self) -> bool:
        """Whether images are edited on it, rather than translated by it."""
        return "z2b" in self.header["maps"]

    def describe(self) -> dict[str, Any]:
        """What the page and programs need to know, as JSON."""
        a, b = self.header["domains"]
        directions = [{"source": b, "target": a} if key == "b2a" else {"source": a, "target": b} for key in self._maps]
        return {
            "name": self.name,
            "kind": "edit" if self.edits else "translate",
            "description": self.description,
            "licence": self.licence,
            "directions": [] if self.edits else directions,
            "image_size": int(self.header["preprocess"].get("image_size", 256)),
            "samples": any(Spec.parse(spec).options.get("latent") for spec in self._maps.values()),
            "thumbnail": self.thumbnail is not None,
            "palette": dict(self.palette),
            "examples": [f"/page/examples/{path.name}" for path in self.examples],
        }

    @property
    def _maps(self) -> dict[str, str]:
        return {key: spec for key, spec in self.header["maps"].items() if key != "b2z"}


class Models:
    """Models by name, each loaded when it is first used, and once.

    Args:
        offered: the models.
        device: `auto`, `cpu`, `cuda`, ...
        backend: what computes translations; see `Translator.load`.
    """

    def __init__(self, offered: list[Offered], *, device: str = "auto", backend: str = "fastest") -> None:
        self._offered = {model.name: model for model in offered}
        self._device, self._backend = device, backend
        self._translators: dict[tuple[str, str], Translator] = {}
        self._loaded: dict[str, Model] = {}
        self._editors: OrderedDict[tuple[str, bytes | None, int], Editor] = OrderedDict()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Offered]:
        """The models, in the order in which they were given."""
        return iter(self._offered.values())

    def __len__(self) -> int:
        return len(self._offered)

    def find(self, name: str) -> Offered:
        """The model of a name.

        Raises:
            UsageError: there is none; the message names those there are.
        """
        if name not in self._offered:
            raise unknown("model", name, self._offered)
        return self._offered[name]

    def translator(self, name: str, to: str | None = None) -> Translator:
        """The translator of a model, loaded at its first use.

        Raises:
            UsageError: there is no such model, it doesn't translate to `to`, or its file can't be read.
        """
        offered = self.find(name)
        if offered.edits:
            raise UsageError(f"{name} edits images and translates none")
        direction = find_direction(offered.header["maps"], offered.header["domains"], to)
        with self._lock:
            if (name, direction) not in self._translators:
                loaded = Translator.load(offered.file, to=to, device=self._device, backend=self._backend)
                self._translators[name, direction] = loaded
            return self._translators[name, direction]

    def editor(self, name: str, photo: bytes | None, *, seed: int) -> Editor:
        """An editor that starts from a photograph's projection, or from a sample; the latest ones are kept.

        One thread may call it, which then uses the editor.

        Raises:
            ImageError: the photograph can't be read.
            UsageError: there is no such model, no images are edited on it, or its file can't be read.
        """
        from i2i.editing import Editor
        from i2i.model_file import load_model

        key = name, photo, seed
        if key in self._editors:
            self._editors.move_to_end(key)
            self._editors[key].restart()
            return self._editors[key]
        offered = self.find(name)
        if not offered.edits:
            raise UsageError(f"{name} translates images; edit with a model that i2i train gan or ian has made")
        if name not in self._loaded:
            self._loaded[name] = load_model(offered.file)
        editor = Editor(self._loaded[name], device=self._device)
        if photo is None:
            editor.sample(seed=seed)
        else:
            editor.project(photo, seed=seed)
        self._editors[key] = editor
        while len(self._editors) > _EDITORS:
            self._editors.popitem(last=False)
        return editor


def offered_models(names: list[str], folder: Path | None = None) -> list[Offered]:
    """The models that a server offers: the named ones, those in a folder, and where neither is given, the pretrained.

    Args:
        names: pretrained models, model files or run folders.
        folder: its model files, exported files, and the runs in it.

    Raises:
        UsageError: a model isn't there or can't be read, or two have one name.
    """
    known = pretrained()
    offered = []
    for name in [*names, *(known if not names and folder is None else ())]:
        file, entry = model_file(name), known.get(name)
        if entry is None or entry.file != file:
            offered.append(_of_file(file))
        else:
            examples = tuple(sorted((PAGE / "examples").glob(f"{name}-*.png")))
            about = entry.description, entry.licence, entry.thumbnail, entry.palette
            offered.append(Offered(name, file, *about, examples))
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
        found = sorted({*_in_folder(folder), *folder.glob("*/model.safetensors")})
        if folder / "model.safetensors" in found:  # the folder of a run
            found = [file for file in found if file.name != "best.safetensors"]
        if not found:
            raise UsageError(f"{folder}: no model files in this folder, exported or not, and no runs")
        offered += [_of_file(file) for file in found]
    names = [model.name for model in offered]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models are called {name!r}; rename one of their files")
    for model in offered:
        _ = model.header  # a file that can't be read is refused now
    return offered


def _in_folder(folder: Path) -> list[Path]:
    """The model files in a folder; of a model that was exported beside its file, the export alone."""
    found: dict[str, Path] = {}
    for suffix in (".safetensors", ".xml", ".onnx"):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() != suffix:
                continue
            if is_export(file):
                try:
                    header_of(file)
                except UsageError as error:  # such as another program's
                    logger.warning("left out: %s", error.with_flags())
                    continue
            found[file.stem] = file
    return list(found.values())


def _of_file(file: Path) -> Offered:
    name = file.resolve().parent.name if file.name in ("model.safetensors", "best.safetensors") else file.stem
    header = header_of(file)
    a, b = header["domains"]
    text = f"images of {b}" if "z2b" in header["maps"] else f"{a} to {b}"
    return Offered(name, file, f"{text}, trained with {header['config'].get('method', 'i2i')}")
