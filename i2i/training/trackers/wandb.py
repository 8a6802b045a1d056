"""Weights & Biases."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.errors import UsageError, setting
from i2i.optional import extra_module
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers.base import TrackedRun, Tracker, WarningNames, trackers

_TIMEOUT = 30.0  # seconds that training waits for a server that doesn't answer; W&B itself would wait 90
_EXIT_CODES = {"finished": 0, "stopped": 255}  # 255: as W&B itself marks a run that Ctrl-C has ended


@trackers.register("wandb")
class WeightsAndBiases(Tracker):
    """Logs to W&B, in the project of WANDB_PROJECT, or i2i; WANDB_MODE=offline writes to `RUN/wandb` only."""

    _run: Any = None

    def __init__(self) -> None:
        self._names = WarningNames()
        self._id = secrets.token_hex(4)

    def check(self) -> None:
        wandb = _wandb()
        if wandb.setup().settings.mode in ("offline", "disabled") or wandb.login(prompt=False, verify=False):
            return
        raise UsageError(
            f"{setting('track', 'wandb')}: you aren't logged in to Weights & Biases; type: wandb login (or set "
            "WANDB_API_KEY; WANDB_MODE=offline logs to the run folder only)"
        )

    def on_start(self, run: TrackedRun) -> str:
        wandb = _wandb()
        given = wandb.setup().settings  # by WANDB_PROJECT, WANDB_NAME and W&B's own files
        timeout = given.init_timeout if "WANDB_INIT_TIMEOUT" in os.environ else _TIMEOUT
        try:
            self._run = wandb.init(
                id=run.id or self._id,
                resume="allow",
                project=given.project or "i2i",
                name=given.run_name or run.name,
                dir=run.folder,
                config=dict(run.settings),
                allow_val_change=True,
                reinit="create_new",  # the caller's own run stays active
                settings=wandb.Settings(console="off", init_timeout=timeout),
            )
        except Exception:
            if wandb.run is None:  # unless the caller has a run
                wandb.teardown()  # or else the id would be in use when this is tried again
            raise
        return str(self._run.id)

    def on_log(self, step: int, values: Mapping[str, Any]) -> None:
        if step >= self._run.step:  # W&B ignores earlier steps: those that a killed run has logged already
            self._run.log(dict(values), step=step)

    def on_sample(self, step: int, path: Path) -> None:
        self.on_log(step, {"samples": _wandb().Image(str(path))})

    def on_warning(self, step: int, diagnosis: Diagnosis) -> None:
        self._run.summary[self._names.next(step)] = f"{diagnosis.warning}; try: {diagnosis.advice}"

    def on_model(self, files: Sequence[Path]) -> None:
        artifact = _wandb().Artifact(f"model-{self._run.id}", type="model")
        for path in files:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def on_end(self, state: str) -> None:
        self._run.summary["state"] = state
        self._run.finish(exit_code=_EXIT_CODES.get(state, 1))


def _wandb() -> Any:
    return extra_module("wandb", extra="wandb", needed_by=setting("track", "wandb"))
