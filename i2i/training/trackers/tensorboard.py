"""TensorBoard: event files in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from i2i.errors import UsageError, setting
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers.base import TrackedRun, Tracker, trackers


@trackers.register("tensorboard")
class TensorBoard(Tracker):
    """Writes `RUN/tensorboard`; show it with `tensorboard --logdir RUN`."""

    _writer: Any = None

    def check(self) -> None:
        _summary_writer()

    def on_start(self, run: TrackedRun) -> None:
        purge = run.step + 1 if run.step else None  # what a killed run has logged past its checkpoint
        self._writer = _summary_writer()(str(run.folder / "tensorboard"), purge_step=purge)
        settings = "\n".join(f"    {name}: {value}" for name, value in run.settings.items())
        self._writer.add_text("settings", settings, run.step)

    def on_log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def on_sample(self, step: int, path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image)
        self._writer.add_image("samples", pixels, step, dataformats="HWC")
        self._writer.flush()

    def on_warning(self, step: int, diagnosis: Diagnosis) -> None:
        self._writer.add_text("warnings", f"{diagnosis.warning}; try: {diagnosis.advice}", step)

    def on_end(self, state: str) -> None:
        self._writer.add_text("state", state)
        self._writer.close()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(f"{setting('track', 'tensorboard')} needs another package: pip install tensorboard") from None
    return SummaryWriter
