"""`i2i info MODEL`: what a model file is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from i2i.flags import parse


@dataclass(frozen=True)
class Info:
    """Flags of `i2i info`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model's name, a model file, or a run's folder."""
    json: bool = False
    """Print the whole header as JSON."""


def run(args: list[str]) -> int:
    """`i2i info MODEL`."""
    flags = parse(Info, "info", args, "Say what a model file is.")

    from i2i.checkpoint import read_header
    from i2i.pretrained import model_file
    from i2i.registry import Spec

    file = model_file(flags.model)
    header = read_header(file)
    if flags.json:
        print(json.dumps(header, indent=2))
        return 0
    a, b = header["domains"]
    print(f"{file}  {file.stat().st_size / 1e6:.1f} MB, {header['format']}, made by {header['made_by']}")
    for direction, spec in header["maps"].items():
        print(f"  {b} -> {a}: {spec}" if direction == "b2a" else f"  {a} -> {b}: {spec}")
    config = header["config"]
    print(
        f"  trained with {config.get('method')} on {' '.join(config.get('paths', []))}, {header['step']} steps, ",
        end="",
    )
    if "z2b" in header["maps"]:
        classes = header["preprocess"].get("classes", ())
        print(f"pictures of {header['preprocess']['image_size']} px" + (f" of {', '.join(classes)}" if classes else ""))
        print(f"use it: i2i sample {flags.model} samples.png")
        return 0
    print(f"pictures of {header['preprocess']['image_size']} px; any size can be translated")
    channels, depths = header["preprocess"].get("channels", [3, 3]), header["preprocess"].get("depths", [8, 8])
    if [*channels, *depths] != [3, 3, 8, 8]:
        print("  " + ", ".join(f"{n}: {c} x {d} bit" for n, c, d in zip((a, b), channels, depths, strict=True)))
    more = f" --to {b}" if len(header["maps"]) > 1 else ""
    if any(Spec.parse(spec).options.get("latent") for spec in header["maps"].values()):
        more += " --samples 5"
    print(f"use it: i2i translate INPUT OUTPUT --model {flags.model}{more}")
    return 0
