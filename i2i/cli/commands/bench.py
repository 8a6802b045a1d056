"""`i2i bench [MODEL ...]`: how fast models translate and methods train on this machine."""

from __future__ import annotations

import itertools
import json
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from i2i.cli.arguments import Quiet, Verbose, check_json, one_line, parse, print_error
from i2i.errors import UsageError, unknown
from i2i.version import __version__

USAGE = "[MODEL ...]"
SUMMARY = "Measure how fast models translate and methods train here"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i bench`."""

    models: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="MODEL")] = ()
    """Pretrained models, model files, run folders or exported files (default: map2sat and sketch2flower)."""
    sizes: tuple[int, ...] = (256,)
    """Heights and widths of the translated images, in pixels."""
    backends: tuple[str, ...] = ()
    """What computes: torch, onnx, openvino (default: all that are installed)."""
    calibration: Path | None = None
    """A folder of inputs: measure int8 too, calibrated on them."""
    methods: tuple[str, ...] = ("pix2pix", "cyclegan")
    """Methods whose training steps are measured. --methods without a value: none."""
    image_size: int = 128
    """Height and width of the training images, in pixels."""
    seconds: float = 2.0
    """Seconds that each translation is measured."""
    json: Path | None = None
    """Also write all numbers to this JSON file."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Measure, and print a table."""
    flags = parse(Flags, "bench", args, SUMMARY)
    if not flags.seconds > 0 or any(size < 1 for size in (*flags.sizes, flags.image_size)):
        raise UsageError("--seconds, --sizes and --image-size must be more than 0")

    from i2i.files import write_whole
    from i2i.images.outputs import files_of_model
    from i2i.inference.backends.exported import backends_by_name
    from i2i.inference.exporting.parity import calibration_images
    from i2i.methods import methods
    from i2i.pretrained import model_file
    from i2i.progress import progress_bar

    known = backends_by_name()
    for name in flags.backends:
        if name != "torch" and name not in known:
            raise unknown("backend", name, ("torch", *known))
    for name in flags.methods:
        methods[name]
    models = {name: model_file(name) for name in flags.models or ("map2sat", "sketch2flower")}
    check_json(flags.json, "bench", itertools.chain.from_iterable(map(files_of_model, models.values())))
    images = calibration_images(flags.calibration) if flags.calibration else []
    found: list[dict[str, Any]] = []
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        kinds = {name: _kinds(file, flags.backends, int8=bool(images)) for name, file in models.items()}
        total = sum(map(len, kinds.values())) + len(flags.methods)
        with progress_bar(total=total, unit="measurement", disable=flags.quiet) as bar:
            for name, file in models.items():
                for backend, precision in kinds[name]:
                    measured = _of_model(flags, name, file, backend, precision, images, Path(folder))
                    found += measured
                    failed += len(measured) < len(flags.sizes)
                    bar.update()
            for method in flags.methods:
                found.append(_of_training(method, flags.image_size))
                bar.update()
    for line in _table(found):
        print(one_line(line))
    if flags.json:
        about = {"i2i": __version__, "machine": platform.platform(), "processor": platform.processor()}
        write_whole(flags.json, json.dumps(about | {"measurements": found}, indent=2).encode())
    return 1 if failed else 0


def _kinds(file: Path, asked: tuple[str, ...], *, int8: bool) -> list[tuple[str, str]]:
    """Backends and precisions to measure a model with; an exported file has one precision, and not all can run it."""
    from i2i.inference.backends.exported import backends_by_name, is_export
    from i2i.inference.loading import header_of

    known = backends_by_name()
    if is_export(file):
        able = [name for name, backend in known.items() if file.suffix.lower() in backend.suffixes]
        precision = header_of(file)["network"]["precision"]
        return [(name, precision) for name in asked or able if asked or known[name].installed()]
    kinds = []
    for name in asked or ("torch", *(name for name, backend in known.items() if backend.installed())):
        kinds += [(name, precision) for precision in (("fp32", "int8") if int8 and name != "torch" else ("fp32",))]
    return kinds


def _of_model(
    flags: Flags, name: str, file: Path, backend: str, precision: str, images: list[Path], folder: Path
) -> list[dict[str, Any]]:
    """The measurements of one kind, one for each size, up to one that fails, which is printed."""
    from i2i.inference.backends.exported import is_export
    from i2i.inference.speed import measure_inference

    found = []
    try:
        measured = file if backend == "torch" or is_export(file) else _export(file, precision, images, folder)
        for size in flags.sizes:
            speed = measure_inference(measured, backend=backend, size=size, seconds=flags.seconds)
            what = {"model": name, "backend": backend, "precision": precision, "size": size}
            found.append(what | speed._asdict())
    except (UsageError, RuntimeError) as error:
        text = error.with_flags() if isinstance(error, UsageError) else str(error)
        print_error(f"{name}, {backend}, {precision}: {text}", 1)
    return found


def _export(file: Path, precision: Any, images: list[Path], folder: Path) -> Path:
    """The model as an .onnx file, made once."""
    from i2i.files import sha256_of
    from i2i.inference.exporting.export import export
    from i2i.model_file import load_model
    from i2i.model_file.header import find_direction

    target = folder / f"{sha256_of(file)[:16]}-{precision}.onnx"
    if not target.exists():
        model = load_model(file)
        direction = find_direction(model.generators, model.domains, None)
        export(model, direction, target, precision=precision, images=images)
    return target


def _of_training(method: str, image_size: int) -> dict[str, Any]:
    from i2i.training.speed import measure_training

    speed = measure_training(method, image_size=image_size, steps=3)
    return {"method": method, "size": image_size, "seconds": speed.seconds, "megabytes": speed.megabytes}


def _table(found: list[dict[str, Any]]) -> list[str]:
    rows = [("translation", "backend", "px", "images/s", "ms (95 % below)", "start-up", "memory")]
    rows += [
        (
            entry["model"],
            entry["backend"] + ("" if entry["precision"] == "fp32" else f" {entry['precision']}"),
            str(entry["size"]),
            f"{1000 / entry['median']:.1f}",
            f"{entry['median']:.1f} ({entry['slow']:.1f})",
            f"{entry['startup']:.2f} s",
            f"{entry['megabytes']:.0f} MB",
        )
        for entry in found
        if "model" in entry
    ]
    training = [entry for entry in found if "method" in entry]
    if training:
        rows += [("",) * 7, ("training step", "", "px", "images/s", "", "", "")]
        rows += [(e["method"], "torch", str(e["size"]), f"{1 / e['seconds']:.2f}", "", "", "") for e in training]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
