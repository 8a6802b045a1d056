"""`i2i sample MODEL OUT`: draw images from a latent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import Imports, parse
from i2i.errors import UsageError


@dataclass(frozen=True)
class Sample:
    """Flags of `i2i sample`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A model file, or the folder of a run, of method gan."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """An image file for a grid of all images, or a folder for a file per image."""
    count: int | None = None
    """Number of images, or of walks. Unless given: 64 images, 8 of each class, or 8 walks."""
    seed: int = 0
    """Random seed; the same seed draws the same images."""
    label: str | None = None
    """Class to draw, of a model with classes; all of them in turn unless given."""
    walk: int | None = None
    """Interpolate between latents in this many steps: each row of the grid is a walk."""
    overwrite: bool = False
    """Overwrite files that are in the folder OUT already."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto takes a GPU where there is one."""
    imports: Imports = ()
    """A module or a .py file that defines the model's network; may be given several times."""


def run(args: list[str]) -> int:
    """`i2i sample MODEL OUT`."""
    flags = parse(Sample, "sample", args, "Draw images from a model that begins with a latent.")

    import math

    from i2i.images.decoded import DecodedImage
    from i2i.images.formats import writable_suffixes
    from i2i.images.grid import contact_sheet
    from i2i.images.outputs import files_of_model, refuse_inputs
    from i2i.images.pillow import from_pil
    from i2i.images.writing import write
    from i2i.inference.planning import is_media_name
    from i2i.inference.sampler import Sampler
    from i2i.plugins import load_plugins
    from i2i.pretrained import model_file

    suffix, folder = flags.output.suffix.lower(), flags.output.is_dir()
    grid = suffix in writable_suffixes() and not folder
    if not (grid or folder) and (flags.output.is_file() or is_media_name(flags.output)):
        raise UsageError(f"{flags.output}: give an image file for a grid, such as samples.png, or a folder")
    load_plugins(flags.imports)
    sampler = Sampler.load(flags.model, device=flags.device)
    used = files_of_model(model_file(flags.model))
    if grid:
        refuse_inputs([flags.output], used, flag="OUT")
    in_turn = sampler.classes if flags.label is None else ()
    if flags.walk is not None:
        rows = sampler.walk(8 if flags.count is None else flags.count, flags.walk, seed=flags.seed, label=flags.label)
        captions = [f"seed {flags.seed}"] + [""] * (flags.walk - 1)
    else:
        count = (8 * len(in_turn) or 64) if flags.count is None else flags.count
        drawn = sampler(count, seed=flags.seed, label=flags.label)
        across = min(len(in_turn) or math.ceil(math.sqrt(len(drawn))), len(drawn))
        rows = [drawn[start : start + across] for start in range(0, len(drawn), across)]
        captions = list(in_turn[:across]) or [f"seed {flags.seed}"] + [""] * (across - 1)
    count = sum(map(len, rows))
    if grid:
        pixels = [[from_pil(image).pixels for image in row] for row in rows]
        write(DecodedImage(contact_sheet(pixels, captions)), flags.output)
        print(f"{flags.output}: {count} images of {sampler.image_size} px")
        return 0
    files = [flags.output / f"{number:05d}.png" for number in range(1, count + 1)]
    refuse_inputs(files, used, flag="OUT")
    there = [file for file in files if file.exists()]
    if there and not flags.overwrite:
        raise UsageError(f"{there[0]} is there already; choose another OUT, or add --overwrite")
    for file, image in zip(files, (image for row in rows for image in row), strict=True):
        write(from_pil(image), file)
    print(f"{flags.output}: {count} files of {sampler.image_size} px")
    return 0
