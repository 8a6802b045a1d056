"""MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from i2i.errors import UsageError, setting
from i2i.optional import extra_module
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers.base import TrackedRun, Tracker, WarningNames, trackers

_STATUS = {"finished": "FINISHED", "stopped": "KILLED"}
_LONGEST = 5000  # characters of a parameter; servers take 6000
_BATCH = 100  # parameters per request, as many as servers take


@trackers.register("mlflow")
class MLflow(Tracker):
    """Logs to MLFLOW_TRACKING_URI, or mlflow.db in the current folder; experiment MLFLOW_EXPERIMENT_NAME, or i2i."""

    _client: Any = None
    _id = ""

    def __init__(self) -> None:
        self._names = WarningNames()
        self._last: dict[str, int] = {}  # steps that a killed run has logged by metric: MLflow would keep both values

    def check(self) -> None:
        # `Tracking` tries again later; the seven retries of MLflow itself would stop training for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        mlflow = extra_module("mlflow", extra="mlflow", needed_by=setting("track", "mlflow"))
        try:
            self._client = mlflow.MlflowClient()
        except (mlflow.MlflowException, ImportError) as error:
            uri = mlflow.get_tracking_uri()
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{setting('track', 'mlflow')}: {uri} can't be used ({reason}); give a server or a database: "
                "export MLFLOW_TRACKING_URI=http://HOST:5000, or sqlite:////PATH/mlflow.db"
            ) from None

    def on_start(self, run: TrackedRun) -> str:
        params = dict(_flat(run.settings))
        if run.id:
            self._id = run.id
            self._client.update_run(run.id, status="RUNNING")
        elif not self._id:
            name = os.environ.get("MLFLOW_RUN_NAME", run.name)
            self._id = self._client.create_run(self._experiment(), run_name=name).info.run_id
        data = self._client.get_run(self._id).data
        for name in data.metrics:
            self._last[name] = max(metric.step for metric in self._client.get_metric_history(self._id, name))
        for name, value in params.items():
            if data.params.get(name, value) != value:  # a parameter can't be changed
                self._client.set_tag(self._id, f"resumed/{name}", f"{value} from step {run.step}")
        entities, new = _entities(), [item for item in params.items() if item[0] not in data.params]
        for start in range(0, len(new), _BATCH):
            self._client.log_batch(self._id, params=[entities.Param(*item) for item in new[start : start + _BATCH]])
        return self._id

    def on_log(self, step: int, values: Mapping[str, float]) -> None:
        entities, now = _entities(), int(time.time() * 1000)
        new = {name: value for name, value in values.items() if step > self._last.get(name, -1)}
        self._client.log_batch(self._id, [entities.Metric(name, value, now, step) for name, value in new.items()])

    def on_sample(self, step: int, path: Path) -> None:
        if step <= max(self._last.values(), default=-1):
            return
        with Image.open(path) as image:
            self._client.log_image(self._id, image, key="samples", step=step)

    def on_warning(self, step: int, diagnosis: Diagnosis) -> None:
        self._client.set_tag(self._id, self._names.next(step), f"{diagnosis.warning}; try: {diagnosis.advice}")

    def on_model(self, files: Sequence[Path]) -> None:
        for path in files:
            self._client.log_artifact(self._id, str(path), "model")

    def on_end(self, state: str) -> None:
        self._client.set_tag(self._id, "state", state)
        self._client.set_terminated(self._id, _STATUS.get(state, "FAILED"))

    def _experiment(self) -> str:
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "i2i")
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))


def _entities() -> Any:
    return extra_module("mlflow.entities", extra="mlflow", needed_by=setting("track", "mlflow"))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as parameters: ("train.lr", "0.0002")."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:_LONGEST]
