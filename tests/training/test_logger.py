"""What a run logs, and that a log that can't be written does not end the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from i2i.errors import setting
from i2i.training.diagnostics import Diagnosis
from i2i.training.logger import LossMeter, RunLogger, by_player
from support.runs import trainer


def test_metrics_and_warnings_are_lines_in_their_order(tmp_path: Path) -> None:
    run_logger = RunLogger(tmp_path, step=0, about={})
    run_logger.log(5, {"generator/l1": 2.5})
    run_logger.warn(5, Diagnosis("it is dark", f"more light: {setting('light', 3)}"))
    run_logger.log(10, {"generator/l1": 2.0})
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [
        {"step": 5, "generator/l1": 2.5},
        {"step": 5, "warning": "it is dark", "advice": "more light: --light 3"},
        {"step": 10, "generator/l1": 2.0},
    ]


def test_lines_past_the_resumed_step_and_torn_lines_are_dropped(tmp_path: Path) -> None:
    run_logger = RunLogger(tmp_path, step=0, about={})
    for step in (2, 4, 6):
        run_logger.log(step, {"lr": 0.1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "l')
    RunLogger(tmp_path, step=4, about={}).log(5, {"lr": 0.2})
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == [2, 4, 5]


def test_a_loss_meter_has_the_mean_of_each_term_over_the_steps_that_had_it() -> None:
    meter = LossMeter(10)
    meter.add({"generator/l1": torch.tensor(1.0), "discriminator/adversarial": torch.tensor(4.0)})
    meter.add({"generator/l1": torch.tensor(2.0)})
    meter.add({"generator/l1": torch.tensor(6.0), "discriminator/adversarial": torch.tensor(8.0)})
    assert meter.means() == {"generator/l1": 3.0, "discriminator/adversarial": 6.0}
    assert meter.means() == {"generator/l1": 3.0, "discriminator/adversarial": 6.0}  # looking changes nothing
    assert meter.speed(13) > meter.speed(11) > 0


def test_a_player_minimises_the_sum_of_its_terms() -> None:
    losses = {
        "generator/l1": 2.0,
        "generator/adversarial": 0.5,
        "discriminator/adversarial": 0.25,
        "fake_accuracy": 9.0,
    }
    assert by_player(losses) == {"generator": 2.5, "discriminator": 0.25}


def test_a_summary_says_what_the_run_was(run: Path, pairs: Path) -> None:
    said = json.loads((run / "summary.json").read_text())
    assert said["state"] == "finished"
    assert said["domains"] == ["drawing", "photo"]
    assert (said["training_images"], said["held_out_images"], said["steps"]) == (6, 3, 12)
    assert said["processes"] == 1
    assert said["device"] in ("cpu", "cuda", "mps")
    assert said["maps"]["a2b"].startswith("unet:")
    assert said["parameters"]["a2b"] > 10_000
    assert said["best"]["step"] == 12
    assert said["command"] == f"i2i train pix2pix {pairs} --run {run} --resume"
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("name", ["report.html", "summary.json"])
def test_a_report_that_cannot_be_written_does_not_end_the_run(name: str, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()  # which no file can replace
    (tmp_path / name / "kept").touch()
    trainer(pairs, tmp_path, steps=3, sample_every=1).fit()
    assert (tmp_path / "model.safetensors").is_file()
    assert (tmp_path / name / "kept").is_file()
    assert not list(tmp_path.glob(".i2i-*"))
