"""`i2i info MODEL`: describe a model file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from i2i.cli.arguments import one_line, parse

USAGE = "MODEL"
SUMMARY = "Describe a model file"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i info`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model (see: i2i models), a model file, the folder of a run, or an exported file."""
    json: bool = False
    """Print the whole header as JSON."""


def run(args: list[str]) -> int:
    """Describe a model file."""
    flags = parse(Flags, "info", args, SUMMARY)

    from i2i.inference.loading import header_of
    from i2i.pretrained import model_file

    file = model_file(flags.model)
    header = header_of(file)
    if flags.json:
        print(json.dumps(header, indent=2))
        return 0
    for line in _lines(flags.model, file, header):
        print(one_line(line))
    return 0


def _lines(model: str, file: Path, header: Mapping[str, Any]) -> Iterator[str]:
    from i2i.spec import Spec

    a, b = header["domains"]
    config, preprocess = header["config"], header["preprocess"]
    latent = any(Spec.parse(spec).options.get("latent") for spec in header["maps"].values())
    yield f"{file}  {file.stat().st_size / 1e6:.1f} MB, {header['format']}, made by {header['made_by']}"
    for direction, spec in header["maps"].items():
        yield f"  {b} -> {a}: {spec}" if direction.startswith("b") else f"  {a} -> {b}: {spec}"
    trained = f"  trained with {config.get('method')} on {' '.join(config.get('paths', []))}, {header['step']} steps"
    if "image_size" in preprocess:
        trained += f", images of {preprocess['image_size']} px"
    if "z2b" in header["maps"]:
        classes = preprocess.get("classes", ())
        yield trained + (f" of {', '.join(classes)}" if classes else "")
        yield f"use it: i2i sample {model} samples.png"
        return
    network = header.get("network", {})
    if network:
        taken = f"of {network['size']} px, larger images in tiles" if network["size"] else "of any size"
        yield f"{trained}; exported in {network['precision']}, for images {taken}"
    else:
        yield f"{trained}; any size can be translated"
    channels, depths = preprocess.get("channels", [3, 3]), preprocess.get("depths", [8, 8])
    if [*channels, *depths] != [3, 3, 8, 8]:
        yield "  " + ", ".join(f"{n}: {c} x {d} bit" for n, c, d in zip((a, b), channels, depths, strict=True))
    more = f" --to {shlex.quote(b)}" if len(header["maps"]) > 1 else ""
    yield f"use it: i2i translate INPUT OUTPUT --model {model}{more}{' --samples 5' if latent else ''}"
