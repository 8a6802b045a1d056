"""What a caller can do at events of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from i2i.errors import in_python
from i2i.progress import in_notebook
from i2i.training.diagnostics import Diagnosis


def show_in_notebook(step: int, path: Path) -> None:
    """Show a sample grid below the cell that trains; nothing outside a notebook."""
    if in_notebook():
        from IPython.display import Image, display

        display(f"step {step}", Image(filename=str(path)))


def print_warning(step: int, diagnosis: Diagnosis) -> None:
    """Print a warning and its advice to stderr, with settings as Python spells them."""
    tqdm.write(in_python(f"step {step}: {diagnosis.warning}\n  try: {diagnosis.advice}"), file=sys.stderr)


@dataclass(frozen=True)
class Callbacks:
    """Functions that a run calls, on rank 0; each gets the number of steps done first.

    An exception that one of them raises stops the run: a checkpoint is saved, and `Trainer.fit` raises it.

    Attributes:
        on_log: every `log_every` steps, with the mean of each loss since the last time, and `lr`, `fake_accuracy` and
            `images_per_second`.
        on_validation: after a validation, with the scores on held-out images and their number `n`: `l1`, `psnr`, `ssim`
            of pairs; with `validation_features`, the kernel distance and its interval (see `Validation`).
        on_sample: after a sample grid is written, with the path of the PNG.
        on_checkpoint: after a checkpoint is saved, with the path of the model file beside it.
        on_warning: when the diagnostics find a silent failure.
    """

    on_log: Callable[[int, Mapping[str, float]], object] | None = None
    on_validation: Callable[[int, Mapping[str, float]], object] | None = None
    on_sample: Callable[[int, Path], object] | None = show_in_notebook
    on_checkpoint: Callable[[int, Path], object] | None = None
    on_warning: Callable[[int, Diagnosis], object] | None = print_warning
