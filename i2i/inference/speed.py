"""What a translation takes: start-up, time and memory, each measured in a process of its own.

python -m i2i.inference.speed MODEL BACKEND SIZE SECONDS
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from i2i.errors import UsageError


class InferenceSpeed(NamedTuple):
    """What translating one image after the other took.

    Attributes:
        startup: seconds from the import of i2i to the first translated image.
        median: milliseconds of an image.
        slow: milliseconds that 95 % of the images don't exceed.
        megabytes: of memory at the most, of the whole process; 0 where that is unknown (Windows).
    """

    startup: float
    median: float
    slow: float
    megabytes: float


def measure_inference(model: str | Path, *, backend: str, size: int, seconds: float) -> InferenceSpeed:
    """Translate random images of `size` pixels, one at a time, for some seconds, in a new process.

    Raises:
        RuntimeError: the process failed; the message is its last line.
    """
    words = [sys.executable, "-m", "i2i.inference.speed", str(model), backend, str(size), str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it was killed"])[-1])
    return InferenceSpeed(**json.loads(done.stdout.splitlines()[-1]))


def _measure(model: str, backend: str, size: int, seconds: float) -> InferenceSpeed:
    begun = time.perf_counter()
    import numpy as np

    from i2i.inference.translator import Translator

    translator = Translator.load(model, backend=backend)
    channels = translator.backend.in_channels
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, channels), dtype=np.uint8)
    translator(pixels)
    startup = time.perf_counter() - begun
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        translator(pixels)
        times.append(time.perf_counter() - start)
    slow = sorted(times)[int(0.95 * (len(times) - 1))]
    return InferenceSpeed(startup, 1000 * statistics.median(times), 1000 * slow, _peak_megabytes())


def _peak_megabytes() -> float:
    try:  # on Linux `getrusage` would count what the process that started this one had
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    except (OSError, IndexError, ValueError):
        pass
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    try:
        print(json.dumps(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))._asdict()))
    except UsageError as error:
        sys.exit(error.with_flags())
