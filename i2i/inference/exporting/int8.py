"""Post-training quantisation to int8, calibrated on real images."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.inference.exporting.onnx_file import set_metadata
from i2i.optional import extra_module


def quantized(content: bytes, inputs: Sequence[Mapping[str, NDArray[np.float32]]]) -> bytes:
    """Quantise weights and activations of convolutions to int8, with scales that suit the images (NNCF).

    Args:
        content: an ONNX file in float32.
        inputs: of the network, by name; a few dozen are enough.

    Raises:
        UsageError: a package is missing.
    """
    onnx: Any = extra_module("onnx", extra="int8")
    os.environ.setdefault("NNCF_CI", "1")  # NNCF reports its use to its makers unless it runs in CI
    with _silence():  # NNCF logs and prints bars while it is imported and while it works
        nncf: Any = extra_module("nncf", extra="int8")
        model = onnx.load_from_string(content)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        data = nncf.Dataset(list(inputs))
        # Mixed: activations on either side of 0 get an offset of their own.
        result = nncf.quantize(model, data, preset=nncf.QuantizationPreset.MIXED, subset_size=len(inputs))
    set_metadata(result, metadata)
    quantized_content: bytes = result.SerializeToString()
    return quantized_content


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
