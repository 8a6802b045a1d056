"""What a run logs: metrics.jsonl and the report."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.distributed import all_reduce_mean
from i2i.errors import in_flags
from i2i.files import write_whole
from i2i.report import write_page
from i2i.training.diagnostics import Diagnosis
from i2i.training.metrics import Metrics


class RunLogger:
    """Writes the metrics and the report of a run, on rank 0.

    Args:
        folder: the run folder.
        step: steps done; lines past it, of a run that was killed, are dropped.
        about: what the report says about the run; see `i2i.report`.
    """

    def __init__(self, folder: Path, *, step: int, about: Mapping[str, Any]) -> None:
        self.folder, self.about = folder, dict(about)
        self.metrics = Metrics(folder / "metrics.jsonl", step=step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a line of metrics."""
        self.metrics.write({"step": step, **values})

    def warn(self, step: int, diagnosis: Diagnosis) -> None:
        """Add a warning to the metrics, with settings as flags, like the commands of the report."""
        self.metrics.write({"step": step, **{name: in_flags(text) for name, text in diagnosis._asdict().items()}})

    def report(self, state: str, **news: Any) -> None:
        """Write summary.json and report.html again; a run does not fail because they can't be written."""
        self.about |= {"state": state, **news}
        with contextlib.suppress(Exception):
            write_whole(self.folder / "summary.json", json.dumps(self.about, indent=2).encode())
            write_page(self.folder)


class LossMeter:
    """The losses since the last line of metrics, summed on the device, so that nothing waits for it."""

    def __init__(self, step: int) -> None:
        self.start, self.start_time = step, time.perf_counter()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = defaultdict(int)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the losses of a step."""
        for term, value in losses.items():
            self.sums[term] = self.sums[term] + value if term in self.sums else value
            self.counts[term] += 1

    def means(self) -> dict[str, float]:
        """The mean of each term over the steps that had it, and over the ranks."""
        sums = {term: all_reduce_mean(total.clone()) for term, total in self.sums.items()}
        return {term: float(total) / self.counts[term] for term, total in sums.items()}

    def speed(self, step: int) -> float:
        """Steps per second."""
        return (step - self.start) / (time.perf_counter() - self.start_time)


def by_player(losses: Mapping[str, float]) -> dict[str, float]:
    """What each player minimises: the sum of its terms."""
    sums: dict[str, float] = defaultdict(float)
    for term, value in losses.items():
        player, slash, _ = term.partition("/")
        if slash:
            sums[player] += value
    return sums
