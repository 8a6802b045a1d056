"""What W&B has of a run, in the files that it writes offline."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers import TrackedRun, trackers
from support.runs import SMALL
from support.trackers import WandbRun, logged, offline, tracked

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    wandb.teardown()  # its settings are read once
    offline(monkeypatch, tmp_path)
    yield
    wandb.teardown()


def test_wandb_has_the_settings_metrics_scores_samples_and_models(pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    tracked(pairs, folder, "wandb").fit()
    run = WandbRun(folder)
    assert (run.names, run.projects, len(run.ids)) == ({"mine"}, {"i2i"}, 1)
    assert (run.config["method"], run.config["options"]["l1_weight"], run.config["train"]["lr"]) == (
        "pix2pix",
        100,
        2e-4,
    )
    assert run.config["paths"] == [pairs.name]
    assert run.history("generator/l1") == logged(folder, "generator/l1")
    assert [step for step, _ in run.history("generator/l1")] == [2, 4]
    assert run.history("validation/l1") == logged(folder, "validation/l1")
    assert [step for step, _ in run.history("samples/path")] == [0, 4]
    assert {path.read_bytes() for path in run.media} == {p.read_bytes() for p in (folder / "samples").iterdir()}
    (artifact,) = run.artifacts
    assert {entry.path for entry in artifact.manifest.contents} == {"model.safetensors", "best.safetensors"}
    assert run.summary()["state"] == "finished"
    assert run.exit_codes == [0]


def test_the_environment_names_project_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "maps")
    monkeypatch.setenv("WANDB_NAME", "first")
    tracker = trackers["wandb"]()
    tracker.on_start(TrackedRun(tmp_path, {}))
    tracker.on_end("finished")
    run = WandbRun(tmp_path)
    assert (run.projects, run.names) == ({"maps"}, {"first"})


@pytest.mark.parametrize(("state", "code"), [("stopped", 255), ("diverged", 1), ("failed", 1)])
def test_a_run_that_ends_early_has_its_state_and_warnings(state: str, code: int, tmp_path: Path) -> None:
    tracker = trackers["wandb"]()
    tracker.on_start(TrackedRun(tmp_path, {"train": {"lr": 1.0}}))
    tracker.on_warning(3, Diagnosis("it is dark", "--light 3"))
    tracker.on_end(state)
    run = WandbRun(tmp_path)
    assert (run.summary()["state"], run.exit_codes) == (state, [code])
    assert run.summary()["warnings/000003"] == "it is dark; try: --light 3"


def test_without_a_login_the_run_is_refused_before_training(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "run"), "--track", "wandb"]
    assert main(words) == 2
    assert "i2i: --track wandb: you aren't logged in to Weights & Biases; type: wandb login" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()
    monkeypatch.setenv("WANDB_API_KEY", 40 * "0")
    wandb.teardown()
    trackers["wandb"]().check()


def test_without_the_package_the_flag_says_what_to_install(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "run"), "--track", "wandb"]) == 2
    said = capsys.readouterr().err
    assert said == 'i2i: --track wandb needs wandb, which isn\'t installed: pip install "i2i-toolkit[wandb]"\n'
