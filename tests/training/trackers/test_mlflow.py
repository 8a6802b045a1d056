"""What MLflow has of a run, read back through its client."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from i2i.cli import main
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers import TrackedRun, trackers
from support.runs import SMALL
from support.trackers import NOLOAD, logged, offline, tracked

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings(f"ignore:{NOLOAD}:DeprecationWarning")


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch, tmp_path)


@pytest.fixture
def client(tmp_path: Path, mlflow_database: Path) -> Any:
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    return mlflow.MlflowClient()


def runs_of(client: Any, experiment: str = "i2i") -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def test_mlflow_has_the_settings_metrics_scores_samples_and_models(pairs: Path, tmp_path: Path, client: Any) -> None:
    folder = tmp_path / "mine"
    tracked(pairs, folder, "mlflow").fit()
    (run,) = runs_of(client)
    assert (run.info.run_name, run.info.status, run.data.tags["state"]) == ("mine", "FINISHED", "finished")
    assert (run.data.params["method"], run.data.params["options.l1_weight"]) == ("pix2pix", "100.0")
    assert (run.data.params["train.lr"], run.data.params["paths"]) == ("0.0002", f"['{pairs.name}']")
    for name, steps in (("generator/l1", [2, 4]), ("validation/l1", [4])):
        history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        assert history == logged(folder, name)
        assert [step for step, _ in history] == steps
    assert names_in(client, run, "model") == {"model.safetensors", "best.safetensors"}
    local = Path(client.download_artifacts(run.info.run_id, "model/model.safetensors", str(tmp_path)))
    assert local.read_bytes() == (folder / "model.safetensors").read_bytes()
    images = [name for name in names_in(client, run, "images") if name.endswith(".png")]
    assert sorted(name.split("+timestamp")[0] for name in images) == ["samples+step+0", "samples+step+4"]


def names_in(client: Any, run: Any, folder: str) -> set[str]:
    return {Path(file.path).name for file in client.list_artifacts(run.info.run_id, folder)}


def test_the_environment_names_experiment_and_run(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "maps")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "first")
    tracker = trackers["mlflow"]()
    tracker.check()
    tracker.on_start(TrackedRun(tmp_path, {"plugins": "x" * 10_000}))  # longer than a parameter may be
    (run,) = runs_of(client, "maps")
    assert (run.info.run_name, run.info.status) == ("first", "RUNNING")


def test_a_run_continues_with_changed_settings_and_ends_in_its_state(client: Any, tmp_path: Path) -> None:
    settings = {"lr": 1.0, **{f"setting{number}": number for number in range(150)}}  # more than fit in a request
    for state, status in (("stopped", "KILLED"), ("diverged", "FAILED"), ("failed", "FAILED")):
        tracker = trackers["mlflow"]()
        tracker.check()
        found = tracker.on_start(TrackedRun(tmp_path, {"train": settings}))
        tracker.on_warning(3, Diagnosis("it is dark", "--light 3"))
        tracker.on_end(state)
        run = client.get_run(found)
        assert (run.info.status, run.data.tags["state"]) == (status, state)
        assert run.data.tags["warnings/000003"] == "it is dark; try: --light 3"
        assert len(run.data.params) == 151
    again = trackers["mlflow"]()
    again.check()
    changed = TrackedRun(tmp_path, {"train": {**settings, "lr": 0.5, "clip": 1.0}}, step=7, id=found)
    assert again.on_start(changed) == found
    run = client.get_run(found)
    assert (run.info.status, run.data.params["train.lr"], run.data.params["train.clip"]) == ("RUNNING", "1.0", "1.0")
    assert run.data.tags["resumed/train.lr"] == "0.5 from step 7"


def test_a_server_that_is_down_does_not_end_the_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nothing listens there
    tracked(pairs, tmp_path / "run", "mlflow").fit()
    said = [line for line in capsys.readouterr().err.splitlines() if "mlflow: " in line]
    assert len(said) == 2
    assert said[0].startswith("step 0: mlflow: API request to ")
    assert said[1].startswith("step 4: mlflow: 8 calls failed to the end")
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_store_that_cannot_be_used_is_refused_before_training(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "gopher://127.0.0.1")
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "run"), "--track", "mlflow"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("i2i: --track mlflow: gopher://127.0.0.1 can't be used (")
    assert "export MLFLOW_TRACKING_URI=http://HOST:5000" in said
    assert not (tmp_path / "run" / "config.json").exists()


def test_without_the_package_the_flag_says_what_to_install(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert main(["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "run"), "--track", "mlflow"]) == 2
    said = capsys.readouterr().err
    assert said == 'i2i: --track mlflow needs mlflow, which isn\'t installed: pip install "i2i-toolkit[mlflow]"\n'
