"""The Python of docs/tracking.md runs."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from i2i.cli import main
from i2i.training.trackers import trackers
from support.runs import SMALL

PAGE = Path(__file__).parent.parent / "docs" / "tracking.md"
SMALLER = {
    r"steps=20_000": 'steps=2, image_size=32, generator="unet:depth=4,width=4", device="cpu", samples=1, workers=0',
    r"validate_every=1000": "validate_every=1, log_every=1",
}

TABLE, CALLBACKS, OPTUNA = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def smaller(code: str, **more: str) -> str:
    for pattern, text in {**SMALLER, **more}.items():
        code, count = re.subn(pattern, text, code)
        assert count == 1, pattern
    return code


@pytest.fixture(autouse=True)
def _my_folder(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_pairs").symlink_to(pairs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trackers, "_builders", dict(trackers._builders))


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)
    return names


def test_the_tracker_writes_its_table() -> None:
    Path("csv_tracker.py").write_text(TABLE)
    words = ["train", "pix2pix", "my_pairs", "--import", "csv_tracker.py", "--track", "csv", *SMALL, "--run", "run"]
    assert main([*words, "--steps", "2", "--log-every", "1", "--device", "cpu", "--workers", "0"]) == 0
    lines = [line.split(",") for line in Path("run/metrics.csv").read_text().splitlines()]
    assert [step for step, name, _ in lines if name == "generator/l1"] == ["1", "2"]
    assert [step for step, name, _ in lines if name == "validation/psnr"] == ["2"]


def test_the_callbacks_are_called(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(smaller(CALLBACKS))
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["model file: runs/mine/model.safetensors", "sample grid: runs/mine/samples/000000.png"]
    assert float(said[-1]) == names["trainer"].best_score == names["trainer"].monitor.best["value"] > 0
    assert [line.split()[0] for line in said[2:] if re.match(r"\d \d", line)] == ["1", "1", "2", "2"]


@pytest.mark.skipif(find_spec("optuna") is None, reason="needs optuna")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:optuna.*")
@pytest.mark.parametrize(("pruner", "state"), [("MedianPruner()", "COMPLETE"), ("ThresholdPruner(upper=0)", "PRUNED")])
def test_optuna_tunes_and_prunes(pruner: str, state: str) -> None:
    assert len(list(filter(str.strip, OPTUNA.splitlines()))) <= 15
    study = run(smaller(OPTUNA, **{r"MedianPruner\(\)": pruner, "n_trials=20": "n_trials=2"}))["study"]
    assert [trial.state.name for trial in study.trials] == [state] * 2
    for trial in study.trials:
        folder = Path(f"runs/trial-{trial.number}")
        config, summary = (json.loads((folder / name).read_text()) for name in ("config.json", "summary.json"))
        assert config["train"]["lr"] == trial.params["lr"]
        assert config["options"]["l1_weight"] == trial.params["l1_weight"]
        assert summary["state"] == {"COMPLETE": "finished", "PRUNED": "stopped"}[state]
        assert (folder / "state.pt").exists()
        if state == "COMPLETE":
            assert trial.value == summary["best"]["value"] == min(trial.intermediate_values.values())
        else:
            assert list(trial.intermediate_values) == [1]
