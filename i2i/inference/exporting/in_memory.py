"""Export a network in memory, to run it by another library than PyTorch at once."""

from __future__ import annotations

import numpy as np

from i2i.errors import UsageError
from i2i.inference.backends.base import Backend
from i2i.inference.backends.exported import ExportedBackend, fastest_backend, open_export
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.exporting.onnx_file import header_of_model, to_onnx
from i2i.inference.exporting.parity import synthetic_inputs
from i2i.model_file import Model
from i2i.seeding import latent_of

_TOLERANCE = 1e-4  # of 2 from black to white


def exported_in_memory(model: Model, direction: str, reference: TorchBackend, backend: str) -> ExportedBackend:
    """The generator of a direction, run by a backend of exported files; its tiles are those of PyTorch.

    Raises:
        UsageError: there is no such backend, a package is missing, or the network can't be exported.
    """
    exported = open_export(to_onnx(reference.generator, *header_of_model(model, direction)), backend)
    exported.tiles_by = reference
    return exported


def fastest(model: Model, direction: str, reference: TorchBackend) -> Backend:
    """The fastest backend that is installed and gives what PyTorch gives; PyTorch itself if it isn't on the CPU."""
    backend = fastest_backend() if reference.device == "cpu" else "torch"
    if backend == "torch":
        return reference
    try:
        exported = exported_in_memory(model, direction, reference, backend)
    except UsageError:  # such as an operation that ONNX lacks
        return reference
    z = latent_of(0, reference.latent) if reference.latent else None
    (image,) = synthetic_inputs(1, like=reference, side=int(model.preprocess.get("image_size", 256)))
    return exported if np.abs(exported(image, z) - reference(image, z)).max() <= _TOLERANCE else reference
