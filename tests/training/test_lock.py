"""One run at a time in a run folder: by a lock that a killed process does not leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.errors import UsageError
from i2i.training.checkpoint import load_state
from i2i.training.lock import locked
from support.runs import SMALL, TORCHRUN

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
REFUSED = r"^i2i: {} is in use by process {} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait for it, stop it "


@pytest.fixture(scope="module")
def running(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A run with two workers, held in its third step or later; its folder is its `args`."""
    root = tmp_path_factory.mktemp("locked")
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(root / "run"), "--steps", "100000"]
    often = ["--log-every", "1", "--save-every", "2", "--workers", "2", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", *words, *often],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    metrics, deadline = root / "run" / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and '"step": 2,' in metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGSTOP)
    process.args = root / "run"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_the_error_names_the_holder_of_the_lock(
    running: subprocess.Popen[str], pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(str(running.args))
    (folder / "samples").mkdir(exist_ok=True)
    being_written = folder / "samples" / ".i2i-1234.png"
    being_written.write_bytes(b"half")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (["--resume"], ["--resume", "--steps", "4"]):
        assert main(["train", "pix2pix", str(pairs), "--run", str(folder), *words]) == 2
        said = capsys.readouterr()
        assert re.match(REFUSED.format(folder, running.pid) + rf"\(kill {running.pid}\), or use", said.err)
        assert said.err.count("\n") == 1
        assert said.out == ""
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_two_processes_of_torchrun_are_refused_alike(running: subprocess.Popen[str], pairs: Path) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(running.args), "--resume", "--batch-size", "2"]
    done = subprocess.run(
        [sys.executable, str(TORCHRUN), "--standalone", "--nproc-per-node", "2", "-m", "--", "i2i", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("i2i: ")]
    assert [bool(re.match(REFUSED.format(running.args, running.pid), line)) for line in said] == [True]
    # The launcher ends the process that is the slower to end.
    assert {"2"} <= set(re.findall(r"exitcode +: (-?\d+)", done.stderr)) <= {"2", str(-signal.SIGTERM)}


def test_a_killed_run_leaves_no_lock(running: subprocess.Popen[str], pairs: Path) -> None:
    folder = Path(str(running.args))
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.wait()
    assert len(children) >= 2
    assert (folder / ".lock").exists()
    (folder / ".i2i-left.pt").write_bytes(b"half")
    step = load_state(folder / "state.pt")["step"]
    words = ["train", "pix2pix", str(pairs), "--run", str(folder), "--resume", "--steps", str(step + 1)]
    assert main([*words, "--workers", "0"]) == 0  # at once: its workers may still be there
    assert not list(folder.rglob(".i2i-*"))
    assert not (folder / ".lock").exists()


def test_a_run_that_is_refused_leaves_no_folder(pairs: Path, tmp_path: Path) -> None:
    given = ["train", "pix2pix", str(pairs), "--run", str(tmp_path / "some" / "run")]
    assert main([*given, *SMALL, "--load-size", "16", "--device", "cpu"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_for_one_and_names_its_holder(tmp_path: Path) -> None:
    with locked(tmp_path) as exclusive:
        assert exclusive
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
        with pytest.raises(UsageError, match=f"{tmp_path} is in use by process {os.getpid()} on "), locked(tmp_path):
            pass
        assert (tmp_path / ".lock").exists()
        (tmp_path / ".lock").write_text("torn")
        with pytest.raises(UsageError, match="is in use by another process; wait for it, or use"), locked(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        pass


def test_a_forked_process_neither_keeps_nor_removes_the_lock(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with locked(tmp_path / "run"):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the other end is closed
            os._exit(0)
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").exists()
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)
