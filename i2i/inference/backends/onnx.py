"""Translation by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.inference.backends.exported import ExportedBackend, exported_backends


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

    def _channels(self) -> tuple[int | None, int | None]:
        image, translation = self._session.get_inputs()[0], self._session.get_outputs()[0]
        counts = [entry.shape[1] if len(entry.shape) == 4 else 0 for entry in (image, translation)]
        taken, given = (count if isinstance(count, int) else None for count in counts)
        return taken, given

    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images; see `Backend.__call__`."""
        given = [x] if z is None else [x, z]
        result: NDArray[np.float32] = self._session.run(None, dict(zip(self._inputs, given, strict=True)))[0]
        return result
