"""`i2i import FILE OUTPUT`: turn a checkpoint of another toolkit into a model file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import Quiet, Verbose, one_line, parse
from i2i.errors import UsageError
from i2i.model_file.header import MAX_SIZE

USAGE = "FILE OUTPUT"
SUMMARY = "Turn a checkpoint of another toolkit into a model file"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i import`."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """A generator's weights (.pth) of pytorch-CycleGAN-and-pix2pix, CUT, pix2pixHD or BicycleGAN, such as
    latest_net_G.pth. The network is recognised."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """The model file, which ends in .safetensors."""
    domains: tuple[str, str] | None = None
    """Names of what it translates from and to, such as map sat."""
    image_size: int | None = None
    """Height and width of the images that it was trained on, in pixels (default: the toolkit's own)."""
    half: bool = False
    """Store the weights in half precision: half the size, and next to no difference."""
    overwrite: bool = False
    """Overwrite an existing file."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Import a checkpoint."""
    flags = parse(Flags, "import", args, SUMMARY)
    if flags.output.suffix != ".safetensors":
        raise UsageError(f"{flags.output}: give a file that ends in .safetensors")
    if flags.output.exists() and not flags.overwrite:
        raise UsageError(f"{flags.output} exists already; add --overwrite, or choose another OUTPUT")
    if flags.image_size is not None and not 1 <= flags.image_size <= MAX_SIZE:
        raise UsageError(f"--image-size {flags.image_size}: it must be from 1 to {MAX_SIZE} pixels")
    if flags.domains and (len(set(flags.domains)) < 2 or not all(map(str.strip, flags.domains))):
        raise UsageError("--domains: give two different names")

    import torch

    from i2i.model_file import load_model, save_model
    from i2i.model_file.toolkits import is_checkpoint

    if not is_checkpoint(flags.file):
        raise UsageError(f"{flags.file}: give a PyTorch checkpoint, which ends in .pth")
    model = load_model(flags.file)
    preprocess = {**model.preprocess, **({"image_size": flags.image_size} if flags.image_size else {})}
    model = dataclasses.replace(model, domains=flags.domains or model.domains, preprocess=preprocess)
    save_model(flags.output, model, dtype=torch.float16 if flags.half else None)
    a, b = model.domains
    print(one_line(f"{flags.output}: {a} -> {b}, {model.config['from']}: {model.generators['a2b'].spec}"))
    print(one_line(f"use it: i2i translate INPUT OUTPUT --model {flags.output}"))
    return 0
