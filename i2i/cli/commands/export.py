"""`i2i export MODEL OUTPUT`: write a model for ONNX Runtime, OpenVINO or C++."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose, one_line, parse
from i2i.errors import UsageError

if TYPE_CHECKING:
    from i2i.inference.exporting.export import Export

USAGE = "MODEL OUTPUT"
SUMMARY = "Write a model for ONNX Runtime, OpenVINO or C++"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i export`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model (see: i2i models), a model file, or the folder of a run."""
    output: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUTPUT")]
    """A file that ends in .onnx (for ONNX Runtime and OpenVINO), .xml (for OpenVINO; weights lie beside it) or .pt2 (a
    program of torch.export, to compile for C++; i2i doesn't open it)."""
    to: str | None = None
    """Domain to translate to, for a model that translates both ways."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """fp16: half the size, computed in float32. int8: a quarter of the size and several times as fast in OpenVINO, with
    some loss of quality; needs --calibration."""
    calibration: Path | None = None
    """A folder of inputs, such as the photos that it will translate: to calibrate int8 (up to 100 are used), and to
    compare with PyTorch. Without it, random images are compared."""
    size: int | None = None
    """Height and width, in pixels, of the only input that the file takes, which some runtimes want; larger images are
    then translated in tiles. Default: images of any size."""
    overwrite: bool = False
    """Overwrite an existing file."""
    imports: Imports = ()
    """Import a module or .py file that defines the model's network. Repeatable."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Export a model."""
    flags = parse(Flags, "export", args, SUMMARY)
    if flags.size is not None and flags.size < 1:
        raise UsageError(f"--size {flags.size}: it must be 1 or more pixels")

    from i2i.images.outputs import with_weights
    from i2i.inference.exporting.export import export
    from i2i.inference.exporting.parity import calibration_images
    from i2i.model_file import load_model
    from i2i.model_file.header import find_direction
    from i2i.plugins import load_plugins
    from i2i.pretrained import model_file

    for file in with_weights(flags.output):
        if file.exists() and not flags.overwrite:
            raise UsageError(f"{file} exists already; add --overwrite, or choose another OUTPUT")
    load_plugins(flags.imports)
    images = calibration_images(flags.calibration) if flags.calibration else []
    model = load_model(model_file(flags.model))
    direction = find_direction(model.generators, model.domains, flags.to)
    written = export(model, direction, flags.output, precision=flags.precision, size=flags.size or 0, images=images)
    for line in _lines(written, flags):
        print(one_line(line))
    return 0


def _use(output: Path) -> str:
    if output.suffix.lower() == ".pt2":
        return f"use it: torch.export.load({str(output)!r}).module(check_guards=False)"
    return f"use it: i2i translate INPUT OUTPUT --model {output}"


def _lines(written: Export, flags: Flags) -> list[str]:
    size = sum(file.stat().st_size for file in written.files) / 1e6
    parity = written.parity
    compared = f"{parity.images} {'' if written.real else 'random '}images"
    faster = parity.milliseconds_torch / parity.milliseconds
    return [
        f"{' and '.join(map(str, written.files))}  {size:.1f} MB, {flags.precision}",
        f"beside PyTorch, on {compared}: largest difference {parity.largest:.2g} (black is -1, white 1), "
        f"PSNR {parity.psnr:.1f} dB, SSIM {parity.ssim:.4f}",
        f"{parity.milliseconds:.1f} ms an image, {parity.milliseconds_torch:.1f} ms in PyTorch ({faster:.1f}x)",
        _use(flags.output),
    ]
