"""An interrupted run keeps its checkpoint and says how to resume; changed files are warned of."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from i2i import __version__
from i2i.cli import main
from i2i.model_file import load_model
from i2i.training.checkpoint import load_state
from i2i.training.trainer import Trainer
from support.runs import SMALL, states_equal, trainer

STEPS = "14"


def words(data: Path, folder: Path, *more: str) -> list[str]:
    often = ["--log-every", "1", "--save-every", "4", "--sample-every", "100", "--validate-every", "0"]
    return ["train", "pix2pix", str(data), *SMALL, "--run", str(folder), "--device", "cpu", *often, *more]


@pytest.fixture(scope="module")
def whole(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main(words(pairs, folder, "--steps", STEPS)) == 0
    return folder


@contextmanager
def meanwhile(folder: Path, act: Callable[[], object]) -> Iterator[None]:
    """Do something once the run in a folder has come to its second step."""
    over = threading.Event()

    def wait() -> None:
        metrics = folder / "metrics.jsonl"
        while not over.is_set() and not (metrics.exists() and '"step": 2,' in metrics.read_text()):
            time.sleep(0.001)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def interrupted(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a run that was interrupted, beside lines of progress and warnings."""
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("i2i: "))
    step = load_state(folder / "state.pt")["step"]
    assert f"; the checkpoint of step {step} is saved. Resume with: i2i train pix2pix " in said
    assert said.endswith(f"--run {folder} --resume")
    assert load_model(folder / "model.safetensors").step >= step
    assert not list(folder.rglob(".i2i-*"))
    return said


@pytest.mark.skipif(os.name == "nt", reason="needs limits of file sizes")
def test_a_full_disk_keeps_the_last_checkpoint(
    pairs: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import resource

    room = (whole / "state.pt").stat().st_size * 3 // 4  # for a checkpoint without an optimizer's moments
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    capsys.readouterr()
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        assert main(words(pairs, tmp_path, "--steps", STEPS)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = interrupted(tmp_path, capsys)
    assert f"i2i: {tmp_path}/state.pt: File too large; the checkpoint of step 0 is saved" in said
    assert main(words(pairs, tmp_path, "--steps", STEPS, "--resume")) == 0
    states_equal(whole, tmp_path)


def test_a_removed_run_folder_is_saved_again(
    pairs: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    capsys.readouterr()
    with meanwhile(folder, lambda: folder.rename(tmp_path / "removed")):
        assert main(words(pairs, folder, "--steps", "100000")) == 1
    said = interrupted(folder, capsys)
    assert f"i2i: {folder}: the run folder was removed while it trained; the checkpoint of step " in said
    assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors", "state.pt"}
    step = load_state(folder / "state.pt")["step"]
    assert step >= 2
    assert main(words(pairs, folder, "--steps", str(step + 1), "--resume")) == 0


@pytest.mark.skipif(os.name == "nt", reason="folders of open files can't be removed there")
def test_a_run_leaves_another_run_alone_that_began_in_its_removed_folder(
    pairs: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(whole, other)
    capsys.readouterr()

    def replace() -> None:
        folder.rename(tmp_path / "removed")
        other.rename(folder)

    with meanwhile(folder, replace):
        assert main(words(pairs, folder, "--steps", "100000", "--sample-every", "9")) == 2
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("i2i: "))
    assert f"i2i: {folder} was removed while this run trained, and another run writes it now; " in said
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == {
        path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be killed")
def test_a_killed_worker_ends_the_run_between_two_steps(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # PyTorch looks every 5 s whether a worker that it waits for is still there.
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.2,))
    capsys.readouterr()

    def kill() -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    handler = signal.getsignal(signal.SIGCHLD)
    with meanwhile(tmp_path, kill):
        assert main(words(pairs, tmp_path, "--steps", "100000", "--workers", "2", "--schedule", "constant")) == 1
    assert signal.getsignal(signal.SIGCHLD) == handler
    assert "i2i: a worker process that loads images was killed, perhaps because memory ran out" in interrupted(
        tmp_path, capsys
    )
    step = load_state(tmp_path / "state.pt")["step"]
    assert step >= 2
    alone = ["--steps", str(step), "--schedule", "constant", "--workers", "0"]
    assert main(words(pairs, tmp_path / "alone", *alone)) == 0
    states_equal(tmp_path / "alone", tmp_path)


def test_resuming_with_other_images_says_so(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(pairs, tmp_path / "data")
    run, steps = tmp_path / "run", iter(range(2, 20))

    def resumed(*more: str) -> str:
        assert main(words(data, run, "--steps", str(next(steps)), *more)) == 0
        return capsys.readouterr().err

    changed = "images have changed since the run was saved"
    assert changed not in resumed()
    assert changed not in resumed("--resume")
    (data / "train" / "0.png").rename(data / "train" / "new.png")
    assert f"the training {changed} (files have other names, or another order)" in resumed("--resume")
    assert changed not in resumed("--resume")
    for name in ("more.png", "most.png"):
        shutil.copy(data / "train" / "new.png", data / "train" / name)
    assert f"the training {changed} (6 then, 8 now)" in resumed("--resume")
    with (data / "val" / "0.png").open("ab") as file:
        file.write(b"more")
    said = resumed("--resume")
    assert f"the held-out {changed} (files have other sizes)" in said
    assert "training images" not in said
    data.rename(tmp_path / "moved")
    data = tmp_path / "moved"
    assert changed not in resumed("--resume")
    warned = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if changed in line]
    assert len(warned) == 3


class Watched(Trainer):
    """Remembers what lay in its folder when the first step began."""

    found: list[str] | None = None

    def train_step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self.found = self.found or [path.name for path in self.run.path.iterdir()]
        return super().train_step(batch)


def test_the_report_is_there_before_the_first_step(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = trainer(pairs, tmp_path)
    watched = Watched(one.method, one.dataset, one.settings, run=one.run)
    watched.fit()
    assert watched.found is not None
    assert {"report.html", "config.json", "state.pt"} <= set(watched.found)
    assert main(words(pairs, tmp_path / "run", "--steps", "1")) == 0
    assert f"report: {tmp_path}/run/report.html" in capsys.readouterr().out


def test_metrics_of_any_kind_do_not_stop_a_run(pairs: Path, tmp_path: Path) -> None:
    assert main(words(pairs, tmp_path, "--steps", "1")) == 0
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'[1]\n3\n{}\n{"step": "x"}\n\xff\xfe\n' + b"[" * 10**5 + b'\n{"step": 1, "torn')
    assert main(words(pairs, tmp_path, "--steps", "2", "--resume")) == 0
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert set(steps) <= {0, 1, 2}
    assert 2 in steps


def test_a_run_that_cannot_be_resumed_is_refused_in_one_line(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, no_run = shutil.copytree(run, tmp_path / "newer"), tmp_path / "no run"
    no_run.mkdir()
    config = json.loads((run / "config.json").read_text())
    (newer / "config.json").write_text(json.dumps({**config, "made_by": "i2i-toolkit 7.1", "dreams": 3}))
    capsys.readouterr()
    for folder, expected in (
        (run, "has done its 12 steps; give more --steps or --epochs to train on"),
        (no_run, f"{no_run}: no run to resume here; leave out --resume to start one"),
        (run / "model.safetensors", "that is a file; give a folder"),
        (newer, f"i2i-toolkit 7.1 wrote it, and this is {__version__}: pip install --upgrade i2i-toolkit"),
    ):
        assert main(["train", "pix2pix", str(pairs), "--run", str(folder), "--resume"]) == 2
        out, said = capsys.readouterr()
        assert expected in said
        assert (out, said.count("\n")) == ("", 1)
    assert list(no_run.iterdir()) == []
