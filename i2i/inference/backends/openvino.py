"""Translation by OpenVINO, which is the fastest on most CPUs of the x86 family, above all in int8."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.inference.backends.exported import ExportedBackend, Shape, exported_backends

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

        self._core = openvino.Core()
        self._network = self._core.read_model(source if isinstance(source, bytes) else str(source))
        self._compiling, self._requests = threading.Lock(), threading.local()
        self._compiled: Any = None
        self._request()

    def _request(self) -> Any:
        """This thread's request to the compiled network, which all threads share."""
        with self._compiling:
            if self._compiled is None:
                # Without the hint it computes in bfloat16 where the CPU has it, up to 0.01 off.
                settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
                self._compiled = self._core.compile_model(self._network, "CPU", settings)
            compiled = self._compiled
        if getattr(self._requests, "of", None) is not compiled:
            self._requests.of, self._requests.mine = compiled, compiled.create_infer_request()
        return self._requests.mine

    def _metadata(self) -> Mapping[str, str]:
        for section in (SECTION, _OF_ONNX):
            if self._network.has_rt_info([section]):
                entries: Mapping[str, Any] = self._network.get_rt_info([section]).astype(dict)
                return {key: entry.astype(str) for key, entry in entries.items()}
        return {}

    def _shapes(self) -> tuple[Sequence[Shape], Shape]:
        def shape(port: Any) -> Shape:
            lengths = port.partial_shape
            return [n.get_length() if n.is_static else None for n in lengths] if lengths.rank.is_static else None

        return [shape(port) for port in self._network.inputs], shape(self._network.outputs[0])

    def _run(self, x: NDArray[np.float32], z: NDArray[np.float32] | None) -> NDArray[np.float32]:
        request = self._request()
        try:
            result: NDArray[np.float32] = request.infer({0: x} if z is None else {0: x, 1: z})[0]
        except RuntimeError:  # where memory ran out, the compiled network fails from then on, or ends the program
            with self._compiling:
                if self._compiled is self._requests.of:
                    self._compiled = None
            self._requests.of = self._requests.mine = None
            raise
        return result.copy()  # the next call writes over it
