"""Translation by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.inference.backends.exported import ExportedBackend, Shape, exported_backends


@exported_backends.register("onnx")
class OnnxBackend(ExportedBackend):
    """An .onnx file, or the bytes of one, run by ONNX Runtime."""

    suffixes = (".onnx",)
    module = "onnxruntime"
    rank = 1

    def _open(self, source: Path | bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its errors are raised
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are for reading and writing
        given: Any = source if isinstance(source, bytes) else str(source)
        self._session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def _metadata(self) -> Mapping[str, str]:
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def _shapes(self) -> tuple[Sequence[Shape], Shape]:
        def shape(entry: Any) -> Shape:
            return [length if isinstance(length, int) else None for length in entry.shape]

        return [shape(entry) for entry in self._session.get_inputs()], shape(self._session.get_outputs()[0])

    def _run(self, x: NDArray[np.float32], z: NDArray[np.float32] | None) -> NDArray[np.float32]:
        given = [x] if z is None else [x, z]
        result: NDArray[np.float32] = self._session.run(None, dict(zip(self._inputs, given, strict=True)))[0]
        return result
