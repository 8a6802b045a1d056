"""`i2i edit PHOTO OUTPUT`: change a photograph by strokes, on the manifold of a generator."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from i2i.cli.arguments import Imports, one_line, parse
from i2i.errors import UsageError

if TYPE_CHECKING:
    from i2i.editing import Editor, Stroke

USAGE = "PHOTO OUTPUT"
SUMMARY = "Edit a photograph by strokes of colour, sketch and warp (models of gan, ian and encoder)"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i edit`."""

    photo: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTO")]
    """The photograph, of any size."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """The image file that is written."""
    model: str
    """A model file or the folder of a run, trained with gan, ian or encoder."""
    strokes: Path
    """A JSON file with a list of strokes; points are [x, y] from [0, 0], the top left corner, to [1, 1]:
    {"brush": "colour", "points": [[0.2, 0.3], [0.4, 0.3]], "colour": [255, 0, 0], "width": 0.06},
    {"brush": "sketch", "points": [...]}, {"brush": "warp", "start": [...], "end": [...], "radius": 0.12}."""
    show: Literal["transfer", "blend", "image"] = "transfer"
    """What to write: transfer: the photograph, with the edit carried over by motion and colour; blend: the edited
    image where it differs, and the photograph elsewhere; image: the edited image, in the model's size."""
    candidate: int = 0
    """Which of the images that fit the strokes to take; 0 is the best."""
    candidates: Path | None = None
    """An image file for all candidates."""
    morph: Path | None = None
    """A .gif file for the way from the photograph's projection to the edited image."""
    label: str | None = None
    """Class to stay in, for a model with classes (default: the first)."""
    seed: int = 0
    """Random seed. The same seed gives the same candidates."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    imports: Imports = ()
    """Import a module or .py file that defines the model's network. Repeatable."""


def run(args: list[str]) -> int:
    """Edit a photograph."""
    flags = parse(Flags, "edit", args, SUMMARY)
    if flags.morph and flags.morph.suffix.lower() != ".gif":
        raise UsageError(f"--morph {flags.morph}: give a .gif file")

    from i2i.editing import Editor
    from i2i.editing.editor import ITERATIONS
    from i2i.images.outputs import files_of_model, refuse_inputs
    from i2i.images.pillow import from_pil
    from i2i.images.writing import write
    from i2i.plugins import load_plugins
    from i2i.pretrained import model_file

    load_plugins(flags.imports)
    written = [path for path in (flags.output, flags.candidates, flags.morph) if path]
    refuse_inputs(written, [flags.photo, flags.strokes, *files_of_model(model_file(flags.model))])
    strokes = _read_strokes(flags.strokes)
    editor = Editor.load(flags.model, label=flags.label, device=flags.device)
    editor.project(flags.photo, seed=flags.seed)
    began = time.perf_counter()
    found = editor.apply(*strokes, seed=flags.seed)
    pace = 1000 * (time.perf_counter() - began) / ITERATIONS
    image = editor.choose(flags.candidate)
    if flags.show != "image":
        image = editor.transfer() if flags.show == "transfer" else editor.blend()
    write(from_pil(image), flags.output)
    if flags.candidates:
        _write_candidates(editor, flags.candidates)
    if flags.morph:
        _write_morph(editor, flags.morph)
    print(
        one_line(
            f"{flags.output}: candidate {flags.candidate} of {len(found)}, cost {found[flags.candidate].cost:.3f}; "
            f"{pace:.0f} ms an iteration"
        )
    )
    return 0


def _read_strokes(path: Path) -> list[Stroke]:
    from i2i.editing.strokes import strokes_from

    try:
        return strokes_from(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"--strokes {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--strokes {path}: that isn't JSON: {error}") from None


def _write_candidates(editor: Editor, path: Path) -> None:
    from i2i.images.decoded import DecodedImage
    from i2i.images.grid import contact_sheet
    from i2i.images.pillow import from_pil
    from i2i.images.writing import write

    pixels = [from_pil(candidate.image).pixels for candidate in editor.candidates]
    captions = [f"{number}: {candidate.cost:.2f}" for number, candidate in enumerate(editor.candidates)]
    write(DecodedImage(contact_sheet([pixels], captions)), path)


def _write_morph(editor: Editor, path: Path) -> None:
    from i2i.files import write_whole

    first, *others = (frame.convert("RGB") for frame in editor.morph())
    frames = {"save_all": True, "append_images": others, "duration": 80, "loop": 0}
    write_whole(path, lambda temporary: first.save(temporary, "GIF", **frames))
