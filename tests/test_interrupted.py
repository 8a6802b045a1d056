"""A run that the machine interrupts keeps its checkpoint, and says in one line how to resume."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import SMALL
from test_trainer import states_equal

from i2i.checkpoint import load_model, load_state
from i2i.cli import main

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be killed")
def test_a_killed_worker_ends_the_run_between_two_steps(
    pairs: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    def kill() -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    handler = signal.getsignal(signal.SIGCHLD)
    with meanwhile(tmp_path, kill):
        assert main(words(pairs, tmp_path, "--steps", "100000", "--workers", "2", "--schedule", "constant")) == 1
    assert signal.getsignal(signal.SIGCHLD) == handler
    assert "i2i: a worker that loads images has ended, killed perhaps because memory was short" in interrupted(
        tmp_path, capsys
    )
    step = load_state(tmp_path / "state.pt")["step"]
    assert step >= 2
    alone = ["--steps", str(step), "--schedule", "constant", "--workers", "0"]
    assert main(words(pairs, tmp_path / "alone", *alone)) == 0
    states_equal(tmp_path / "alone", tmp_path)
