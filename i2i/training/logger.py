"""What a run tells people while it goes on: metrics, warnings, the report, TensorBoard."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from i2i.distributed import all_reduce_mean
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.progress import logger
from i2i.report import write_page
from i2i.training.diagnostics import Diagnosis
from i2i.training.metrics import Metrics


class RunLogger:
    """Writes a run's folder for people; of several processes the first has one.

    Args:
        folder: the run's.
        step: lines past it, of a run that died, are dropped.
        about: what doesn't change in the run, for the report; see `i2i.report`.
        tensorboard: also write what TensorBoard shows.

    Raises:
        UsageError: see `board`.
    """

    def __init__(self, folder: Path, *, step: int, about: Mapping[str, Any], tensorboard: bool = False) -> None:
        self.folder, self.about = folder, dict(about)
        self.metrics = Metrics(folder / "metrics.jsonl", step=step)
        self.board = board()(str(folder / "tensorboard")) if tensorboard else None

    def note(self, step: int, values: Mapping[str, float]) -> None:
        """Add a line of metrics."""
        self.metrics.write({"step": step, **values})
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def warn(self, step: int, diagnoses: list[Diagnosis]) -> None:
        """Tell people what there is to know, and keep it with the metrics."""
        for diagnosis in diagnoses:
            self.metrics.write({"step": step, **diagnosis._asdict()})
            if logger.isEnabledFor(logging.WARNING):
                tqdm.write(f"step {step}: {diagnosis.warning}\n  try: {diagnosis.advice}", file=sys.stderr)

    def tell(self, state: str, **news: Any) -> None:
        """Write the report anew; a run doesn't fail because of it."""
        self.about |= {"state": state, **news}
        with contextlib.suppress(Exception):
            write_whole(self.folder / "summary.json", json.dumps(self.about, indent=2).encode())
            write_page(self.folder)
        if self.board is not None:
            self.board.flush()


class LossMeter:
    """The losses since the last line of metrics, summed where they are so that the device need not wait."""

    def __init__(self, step: int) -> None:
        self.start, self.begun = step, time.perf_counter()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = defaultdict(int)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Those of a step."""
        for term, value in losses.items():
            self.sums[term] = self.sums[term] + value if term in self.sums else value
            self.counts[term] += 1

    def means(self) -> dict[str, float]:
        """Of all processes together."""
        sums = {term: all_reduce_mean(total.clone()) for term, total in self.sums.items()}
        return {term: float(total) / self.counts[term] for term, total in sums.items()}

    def speed(self, step: int) -> float:
        """Steps a second."""
        return (step - self.start) / (time.perf_counter() - self.begun)


def by_player(losses: Mapping[str, float]) -> dict[str, float]:
    """What each player minimises: the sum of its terms."""
    sums: dict[str, float] = defaultdict(float)
    for term, value in losses.items():
        player, slash, _ = term.partition("/")
        if slash:
            sums[player] += value
    return sums


def board() -> Any:
    """TensorBoard's writer.

    Raises:
        UsageError: TensorBoard isn't installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("--tensorboard needs another package: pip install tensorboard") from None
    return SummaryWriter
