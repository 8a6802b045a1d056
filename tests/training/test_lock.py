"""One run at a time in a run folder: by a lock that a killed process does not leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.errors import UsageError
from i2i.training.checkpoint import load_state
from i2i.training.lock import locked
from support.forked import Process, Server, command
from support.runs import SMALL, wait_for_step

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
REFUSED = r"^i2i: {} is in use by process {} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait for it, stop it "


@pytest.fixture(scope="module")
def held(pairs: Path, forks: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path]]:
    """A run with two workers, held in its third step or later, and its folder."""
    folder = tmp_path_factory.mktemp("locked") / "run"
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(folder), "--steps", "500"]
    process = forks.start([*words, "--log-every", "1", "--save-every", "2", "--workers", "2", "--device", "cpu"])
    wait_for_step(process, folder, 2)
    os.kill(process.pid, signal.SIGSTOP)
    yield process, folder
    process.kill()
    process.wait()


def test_a_second_run_is_refused_and_the_error_names_the_holder_of_the_lock(
    held: tuple[Process, Path], pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process, folder = held
    (folder / "samples").mkdir(exist_ok=True)
    being_written = folder / "samples" / ".i2i-1234.png"
    being_written.write_bytes(b"half")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (["--resume"], ["--resume", "--steps", "4"]):
        assert main(["train", "pix2pix", str(pairs), "--run", str(folder), *words]) == 2
        said = capsys.readouterr()
        assert re.match(REFUSED.format(folder, process.pid) + rf"\(kill {process.pid}\), or use", said.err)
        assert said.err.count("\n") == 1
        assert said.out == ""
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_two_ranks_are_refused_alike(held: tuple[Process, Path], pairs: Path, forks: Server) -> None:
    process, folder = held
    words = ["train", "pix2pix", str(pairs), "--run", str(folder), "--resume", "--batch-size", "2"]
    ended = [rank.wait() for rank in forks.start_ranks(command, "fork", words)]
    assert [one.code for one in ended] == [2, 2]
    said = [line for one in ended for line in one.stderr.splitlines() if line.startswith("i2i: ")]
    assert [bool(re.match(REFUSED.format(folder, process.pid), line)) for line in said] == [True]


def test_a_killed_run_leaves_no_lock(held: tuple[Process, Path], pairs: Path) -> None:
    process, folder = held
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
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
