"""Write a generator as a program of `torch.export`, for those who embed it in C++ or compile it."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim, ExportedProgram

from i2i.device import isolated
from i2i.errors import UsageError
from i2i.inference.backends.base import Backend
from i2i.inference.exporting.onnx_file import deployable
from i2i.inference.footprint import blank_input
from i2i.networks import Generator

HEADER = "i2i.json"  # of the file, beside the program
_MOST_IMAGES, _MOST_PIXELS = 2**10, 2**16


def to_program(generator: Generator, *, size: int = 0) -> ExportedProgram:
    """The program of a generator, for batches and images of any size that the network takes, or of one.

    Args:
        generator: in evaluation mode; it stays as it is.
        size: height and width of the only images that it takes; 0 for any.

    Raises:
        UsageError: PyTorch can't export the network.
    """
    network = deployable(generator)
    multiple, least = generator.multiple, -(-max(generator.smallest, 2) // generator.multiple)
    side = size or max(3, least) * multiple  # dimensions of 1 and 2 would be taken for constants
    image = {0: Dim("images", max=_MOST_IMAGES)}
    if not size:
        for axis, name in ((2, "rows"), (3, "columns")):
            dimension = Dim(name, min=least, max=_MOST_PIXELS // multiple)
            image[axis] = multiple * dimension if multiple > 1 else dimension
    example = tuple(torch.cat([one, one]) for one in blank_input(network, side, side if size else side + multiple))
    with isolated(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own modules
        network(*example)  # dropout draws its patterns, which are constants of the program
        try:
            return torch.export.export(network, example, dynamic_shapes=(image, {0: image[0]})[: len(example)])
        except Exception as error:  # PyTorch has many kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise UsageError(f"'{generator.spec}' can't be exported: {reason}") from None


def to_bytes(program: ExportedProgram, header: Mapping[str, str]) -> bytes:
    """The content of a .pt2 file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own, about weights that share memory
        torch.export.save(program, buffer, extra_files={HEADER: json.dumps(dict(header))})
    return buffer.getvalue()


class ProgramBackend(Backend):
    """Runs a program, to compare it with the network."""

    def __init__(self, program: ExportedProgram, like: Backend) -> None:
        self._run: Any = program.module(check_guards=False)  # they refuse an image of one pixel in the innermost layer
        self.spec, self.in_channels, self.out_channels = like.spec, like.in_channels, like.out_channels
        self.multiple, self.smallest, self.latent = like.multiple, like.smallest, like.latent

    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images; see `Backend.__call__`."""
        given = [torch.from_numpy(one) for one in (x, z) if one is not None]
        with torch.inference_mode():
            result: NDArray[np.float32] = self._run(*given).numpy()
        return result
