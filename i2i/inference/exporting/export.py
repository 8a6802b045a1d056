"""Export one direction of a model, compare it with PyTorch, and write it if it is equal within a tolerance."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from i2i.errors import UsageError, setting
from i2i.files import write_whole
from i2i.images.outputs import with_weights
from i2i.inference.backends.base import Backend
from i2i.inference.backends.exported import open_export, write_metadata
from i2i.inference.backends.openvino import SECTION
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.exporting.int8 import quantized
from i2i.inference.exporting.onnx_file import header_of_model, to_onnx
from i2i.inference.exporting.parity import TOLERANCES, Parity, compare, inputs_of, synthetic_inputs
from i2i.inference.exporting.program import ProgramBackend, to_bytes, to_program
from i2i.model_file import Model
from i2i.networks import Generator
from i2i.networks.build import nearest_size
from i2i.optional import extra_module
from i2i.seeding import latent_of

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
SUFFIXES = (".onnx", ".xml", ".pt2")
_CALIBRATION = 100  # images, at most
_COMPARED = 8  # images, at most


class Export(NamedTuple):
    """What was written.

    Attributes:
        files: the file, and what lies beside it.
        parity: beside PyTorch.
        real: whether the images compared were real ones.
    """

    files: list[Path]
    parity: Parity
    real: bool


def export(
    model: Model,
    direction: str,
    output: Path,
    *,
    precision: Precision = "fp32",
    size: int = 0,
    images: Sequence[Path] = (),
) -> Export:
    """Write a generator for ONNX Runtime and OpenVINO (.onnx), for OpenVINO (.xml and .bin), or for PyTorch (.pt2).

    Args:
        model: a loaded model file.
        direction: `a2b` or `b2a`.
        output: the file; its suffix says what is written.
        precision: of the weights: `fp16` halves the file and is computed in float32; `int8` quantises weights and
            activations.
        size: height and width of the only input that the file takes; 0 for any.
        images: inputs, to calibrate int8 and to compare with PyTorch.

    Raises:
        UsageError: a setting doesn't fit, a package is missing, or the export is further from PyTorch than the
            tolerance of its precision; nothing is written.
        ImageError: an image can't be read.
        OSError: the file can't be written.
    """
    generator = model.generators[direction]
    assert isinstance(generator, Generator)
    _check(generator, output, precision, size, images)
    header, network = header_of_model(model, direction, size=size, precision=precision)
    reference = TorchBackend(generator)
    side = size or int(model.preprocess.get("image_size", 256))
    some = inputs_of(images[: _CALIBRATION if precision == "int8" else _COMPARED], like=reference, side=side)
    z = latent_of(0, generator.latent) if generator.latent else None
    exported: Backend
    if _suffix(output) == ".pt2":
        program = to_program(generator, size=size)
        content, exported = to_bytes(program, write_metadata(header, network)), ProgramBackend(program, reference)
    else:
        content = to_onnx(generator, header, network)
        if precision == "int8":
            latent = {} if z is None else {"latent": z}
            content = quantized(content, [{"image": image, **latent} for image in some])
        exported = open_export(content, "openvino" if _suffix(output) == ".xml" else "auto")
    compared = some[:_COMPARED] or synthetic_inputs(_COMPARED, like=reference, side=side)
    parity = compare(exported, reference, compared, z)
    if not parity.fits(precision):
        raise UsageError(_too_far(parity, precision))
    if _suffix(output) == ".xml":
        _write_openvino(content, write_metadata(header, network), output, precision)
    else:
        write_whole(output, content)
    return Export(with_weights(output), parity, bool(images))


def _suffix(output: Path) -> str:
    return output.suffix.lower()


def _check(generator: Generator, output: Path, precision: str, size: int, images: Sequence[Path]) -> None:
    if _suffix(output) not in SUFFIXES:
        raise UsageError(f"{output}: give a file that ends in {' or '.join(SUFFIXES)}")
    if _suffix(output) == ".pt2" and precision != "fp32":
        raise UsageError(f"{output}: a .pt2 file is written in fp32 only; {precision} is for .onnx and .xml")
    if size and (size % generator.multiple or size < generator.smallest):
        fitting = nearest_size(generator, size)
        raise UsageError(f"{setting('size', size)}: the network takes multiples of {generator.multiple}; use {fitting}")
    if size and not TorchBackend(generator).fits(size * size):
        raise UsageError(f"{setting('size', size)}: an image of this size takes more memory than is free here")
    if precision == "int8" and not images:
        fix = setting("calibration", "FOLDER")
        raise UsageError(f"int8 has to see images like those that it will translate; add {fix}, with 20 inputs or more")


def _too_far(parity: Parity, precision: str) -> str:
    largest, psnr = TOLERANCES[precision]
    found = f"{parity.largest:.2g} at most, PSNR {parity.psnr:.1f} dB"
    allowed = f"{largest:g} and {psnr:g} dB are allowed"
    fix = "give more images for calibration, or fp16" if precision == "int8" else "please report it with the model"
    return f"not written: the {precision} export differs from PyTorch by {found}, where {allowed}; {fix}"


def _write_openvino(content: bytes, metadata: Mapping[str, str], output: Path, precision: str) -> None:
    openvino: Any = extra_module("openvino", extra="openvino")
    network = openvino.Core().read_model(content)
    for key, value in metadata.items():
        network.set_rt_info(value, [SECTION, key])
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "export.xml")
        openvino.save_model(network, str(written), compress_to_fp16=precision == "fp16")
        for suffix in (".bin", ".xml"):  # the weights first, so that the file that names them comes with them
            write_whole(output.with_suffix(suffix), written.with_suffix(suffix).read_bytes())
