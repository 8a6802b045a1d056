"""Translation by OpenVINO, which is the fastest on most CPUs of the x86 family, above all in int8."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.inference.backends.exported import ExportedBackend, exported_backends

SECTION = "i2i"  # of an .xml file's metadata
_OF_ONNX = "framework"  # where an .onnx file's metadata are


@exported_backends.register("openvino")
class OpenVinoBackend(ExportedBackend):
    """An .onnx file or the bytes of one, or an .xml file with its .bin, run by OpenVINO in float32 or int8."""

    suffixes = (".onnx", ".xml")
    module = "openvino"
    rank = 0

    def _open(self, source: Path | bytes) -> None:
        import openvino

        core = openvino.Core()
        self._network = core.read_model(source if isinstance(source, bytes) else str(source))
        # Without the hint it computes in bfloat16 where the CPU has it, up to 0.01 off.
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = core.compile_model(self._network, "CPU", settings)
        self._requests = threading.local()

    def _metadata(self) -> Mapping[str, str]:
        for section in (SECTION, _OF_ONNX):
            if self._network.has_rt_info([section]):
                entries: Mapping[str, Any] = self._network.get_rt_info([section]).astype(dict)
                return {key: entry.astype(str) for key, entry in entries.items()}
        return {}

    def _channels(self) -> tuple[int | None, int | None]:
        shapes = [port.partial_shape for port in (self._network.inputs[0], self._network.outputs[0])]
        counts = [shape[1] if shape.rank.is_static and len(shape) == 4 else None for shape in shapes]
        taken, given = (count.get_length() if count is not None and count.is_static else None for count in counts)
        return taken, given

    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images; see `Backend.__call__`."""
        if not hasattr(self._requests, "mine"):  # a request is one thread's, the compiled network everyone's
            self._requests.mine = self._compiled.create_infer_request()
        given = {0: x} if z is None else {0: x, 1: z}
        result: NDArray[np.float32] = self._requests.mine.infer(given)[0]
        return result.copy()  # the next call writes over it
