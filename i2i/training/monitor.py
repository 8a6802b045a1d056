"""What is logged, warned of and reported while a run trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.distributed import all_reduce_mean, rank
from i2i.methods import Method
from i2i.training.callbacks import Callbacks
from i2i.training.diagnostics import Diagnosis, Diagnostics, image_statistics
from i2i.training.logger import RunLogger
from i2i.training.player import Player
from i2i.training.run_folder import RunFolder
from i2i.training.trackers import TrackedRun
from i2i.training.tracking import Tracking


class Monitor:
    """Logs, diagnoses and reports a run, and calls the callbacks and trackers; only rank 0 writes and calls.

    Args:
        run: the run folder.
        method: what trains.
        callbacks: see `Callbacks`.
        warnings: warnings to give when training starts.
        best_by: the validation score by which the best model is chosen, lower is better; empty without validation.

    Attributes:
        best: step and value of the best score in validation so far.
        raised: whether a callback has raised an exception.
    """

    def __init__(
        self,
        run: RunFolder,
        method: Method,
        callbacks: Callbacks,
        *,
        warnings: Sequence[Diagnosis] = (),
        best_by: str = "",
    ) -> None:
        self.run, self.method, self.callbacks, self.best_by = run, method, callbacks, best_by
        self.warnings = list(warnings)
        self.diagnostics = Diagnostics(
            run.domains, unpaired=method.data == "unpaired", inversion_advice=method.inversion_advice
        )
        self.best: dict[str, Any] | None = None
        self.raised = False
        self._logger: RunLogger | None = None
        self._tracking = Tracking(lambda step, diagnosis: self._warn(step, [diagnosis]))

    def start(self, about: Mapping[str, Any], *, step: int, resumed: bool, track: Sequence[str]) -> None:
        """Write the first report, start the trackers, and give the warnings that are there before training."""
        self._logger = RunLogger(self.run.path, step=step, about=about)
        self.report("running")
        tracked = TrackedRun(self.run.path, self.run.shared_settings(), step)
        self._tracking.start(track, tracked, resumed=resumed)
        self._warn(step, self.diagnostics.new(self.warnings))

    def log(
        self,
        step: int,
        losses: Mapping[str, float],
        *,
        lr: float,
        images_per_second: float,
        images: Any,
        players: Mapping[str, Player],
    ) -> None:
        """Log the losses since the last time, and look for silent failures; called on all ranks.

        Args:
            step: steps done.
            losses: the mean of each term.
            lr: the learning rate.
            images_per_second: the speed.
            images: those of the last step.
            players: all players.
        """
        statistics = {name: float(all_reduce_mean(value)) for name, value in image_statistics(images).items()}
        losses = {**losses, "fake_accuracy": float(all_reduce_mean(self.method.fake_accuracy))}
        if self._logger is None:
            return
        self.run.refuse_another_run()
        values = {"lr": lr, "images_per_second": round(images_per_second, 2), **losses}
        self._logger.log(step, values)
        self._tracking.on_log(step, values)
        self._call(self.callbacks.on_log, step, values)
        skipped = {name: player.skipped for name, player in players.items()}
        self._warn(step, self.diagnostics.look(step, losses, statistics, skipped))

    def validated(self, step: int, scores: Mapping[str, float], *, training_l1: float | None) -> bool:
        """Log scores on held-out images, and warn of overfitting; return whether they are the best so far.

        Args:
            step: steps done.
            scores: by name; the best has the lowest `best_by`.
            training_l1: the `l1` of training pairs; None where the images aren't pairs.
        """
        if self._logger is not None:
            self._logger.log(step, {f"validation/{name}": value for name, value in scores.items()})
        self._tracking.on_validation(step, scores)
        self._call(self.callbacks.on_validation, step, scores)
        value = scores[self.best_by]
        is_best = self.best is None or value < self.best["value"]
        if is_best:
            self.best = {"step": step, "score": self.best_by, "value": value}
        if training_l1 is not None:
            self._warn(step, self.diagnostics.validated(step, scores["l1"], training_l1))
        return is_best

    def sampled(self, step: int, path: Path) -> None:
        """A sample grid was written."""
        self._tracking.on_sample(step, path)
        self._call(self.callbacks.on_sample, step, path)

    def saved(self, step: int) -> None:
        """A checkpoint was saved."""
        if rank() == 0:
            self._call(self.callbacks.on_checkpoint, step, self.run.model_file)

    def end(self, step: int, state: str) -> None:
        """End the trackers, and write the last report: the run is "finished", "stopped", "diverged" or "failed"."""
        files = [self.run.model_file, self.run.best_file] if state == "finished" else []
        self._tracking.end(step, state, [path for path in files if path.exists()])
        self.report(state)

    def report(self, state: str) -> None:
        """Write the report again; see `end` for the states, before which a run is "running"."""
        if self._logger is not None and not self.run.is_of_another_run():
            self._logger.report(state, best=self.best)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run continues with."""
        return {"best": self.best, "diagnostics": self.diagnostics.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a checked state."""
        self.best = best = state.get("best")
        if best and self.best_by and best["score"] != self.best_by:
            self.best = None
            self.warnings.append(_other_score(best, self.best_by))
        self.diagnostics.load_state_dict(state.get("diagnostics") or {})

    def _warn(self, step: int, diagnoses: Sequence[Diagnosis]) -> None:
        for diagnosis in diagnoses:
            if self._logger is not None:
                self._logger.warn(step, diagnosis)
            self._tracking.on_warning(step, diagnosis)
            self._call(self.callbacks.on_warning, step, diagnosis)

    def _call(self, callback: Callable[[int, Any], object] | None, step: int, value: Any) -> None:
        if callback is not None:
            try:
                callback(step, value)
            except Exception:
                self.raised = True
                raise


def _other_score(best: Mapping[str, Any], now: str) -> Diagnosis:
    return Diagnosis(
        f"best.safetensors was chosen by {best['score']} ({best['value']:.4g} at step {best['step']}); from now on it "
        f"is chosen by {now}, and the next validation replaces it",
        "copy the file first to keep it",
    )
