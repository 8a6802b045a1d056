"""`i2i sample MODEL OUT`: generate images from random latents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from i2i.cli.arguments import Imports, one_line, parse
from i2i.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from i2i.inference.sampler import Sampler


USAGE = "MODEL OUT"
SUMMARY = "Generate images from random latents (models of gan)"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i sample`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A model file or the folder of a run, trained with gan."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """An image file for a grid, or a folder for one file per image."""
    count: int | None = None
    """Number of images, or of walks (default: 64 images, 8 of each class, or 8 walks)."""
    seed: int = 0
    """Random seed. The same seed gives the same images."""
    label: str | None = None
    """Class to generate, for a model with classes (default: all of them in turn)."""
    walk: int | None = None
    """Interpolate between two latents in this many steps; each row of the grid is a walk."""
    overwrite: bool = False
    """Overwrite existing files in the folder OUT."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    imports: Imports = ()
    """Import a module or .py file that defines the model's network. Repeatable."""


def run(args: list[str]) -> int:
    """Generate images."""
    flags = parse(Flags, "sample", args, SUMMARY)

    from i2i.images.decoded import DecodedImage
    from i2i.images.grid import contact_sheet
    from i2i.images.outputs import files_of_model, refuse_inputs
    from i2i.images.pillow import from_pil
    from i2i.images.writing import write
    from i2i.inference.sampler import Sampler
    from i2i.plugins import load_plugins
    from i2i.pretrained import model_file

    grid = _is_grid(flags.output)
    load_plugins(flags.imports)
    sampler = Sampler.load(flags.model, device=flags.device)
    of_model = files_of_model(model_file(flags.model))
    if grid:
        refuse_inputs([flags.output], of_model, flag="OUT")
    rows, captions = _rows(sampler, flags)
    count = sum(map(len, rows))
    if grid:
        pixels = [[from_pil(image).pixels for image in row] for row in rows]
        write(DecodedImage(contact_sheet(pixels, captions)), flags.output)
        print(one_line(f"{flags.output}: {count} images of {sampler.image_size} px"))
        return 0
    files = [flags.output / f"{number:05d}.png" for number in range(1, count + 1)]
    refuse_inputs(files, of_model, flag="OUT")
    existing = [file for file in files if file.exists()]
    if existing and not flags.overwrite:
        raise UsageError(f"{existing[0]} exists already; choose another OUT, or add --overwrite")
    for file, image in zip(files, itertools.chain(*rows), strict=True):
        write(from_pil(image), file)
    print(one_line(f"{flags.output}: {count} files of {sampler.image_size} px"))
    return 0


def _is_grid(output: Path) -> bool:
    """Whether OUT is an image file rather than a folder."""
    from i2i.images.formats import writable_suffixes
    from i2i.inference.planning import is_media_name

    if output.is_dir():
        return False
    if output.suffix.lower() in writable_suffixes():
        return True
    if output.is_file() or is_media_name(output):
        raise UsageError(f"{output}: give an image file for a grid, such as samples.png, or a folder")
    return False


def _rows(sampler: Sampler, flags: Flags) -> tuple[Sequence[Sequence[Image]], list[str]]:
    """The images, in the rows of a grid, and a caption for each column."""
    if flags.walk is not None:
        walks = 8 if flags.count is None else flags.count
        rows = sampler.walk(walks, flags.walk, seed=flags.seed, label=flags.label)
        return rows, [f"seed {flags.seed}"] + [""] * (flags.walk - 1)
    in_turn = sampler.classes if flags.label is None else ()
    count = (8 * len(in_turn) or 64) if flags.count is None else flags.count
    images = sampler(count, seed=flags.seed, label=flags.label)
    columns = min(len(in_turn) or math.ceil(math.sqrt(len(images))), len(images))
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return rows, list(in_turn[:columns]) or [f"seed {flags.seed}"] + [""] * (columns - 1)
