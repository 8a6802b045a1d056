"""A closed stdout or stderr stops the printing, but neither the work nor the exit code changes."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from i2i.cli.streams import lasting_streams
from i2i.training.checkpoint import load_state
from support.forked import Server
from support.runs import SMALL

EITHER = pytest.mark.parametrize("closed", ["stdout", "stderr"])


@contextlib.contextmanager
def unread(*, closed: str) -> Iterator[None]:
    """One standard stream is closed from the start, the other is a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    before = sys.stdout, sys.stderr
    with os.fdopen(writer, "w", buffering=1) as pipe:
        sys.stdout, sys.stderr = (None, pipe) if closed == "stdout" else (pipe, None)  # type: ignore[assignment]
        try:
            yield
            assert pipe in (sys.stdout, sys.stderr)
        finally:
            sys.stdout, sys.stderr = before


@EITHER
def test_exit_code_of_a_failed_image(closed: str, run: Path, tmp_path: Path) -> None:
    images = tmp_path / "in"
    images.mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32), (90, 120, 30)).save(images / f"{number}.png")
    (images / "broken.png").write_bytes(b"no image")
    with unread(closed=closed):
        assert main(["translate", str(images), str(tmp_path / "out"), "--model", str(run), "--device", "cpu"]) == 1
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


@EITHER
def test_training_finishes(closed: str, pairs: Path, tmp_path: Path) -> None:
    often = ["--steps", "6", "--log-every", "1", "--device", "cpu"]
    with unread(closed=closed):
        assert main(["train", "pix2pix", str(pairs), *SMALL, *often, "--run", str(tmp_path)]) == 0
    assert load_state(tmp_path / "state.pt")["step"] == 6


@EITHER
def test_exit_code_of_wrong_use(closed: str, tmp_path: Path) -> None:
    with unread(closed=closed):
        assert main(["info", str(tmp_path / "nothing.safetensors")]) == 2
        assert main(["--help"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_a_failure(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["info", str(run)]) == 1
    assert capsys.readouterr().err == "i2i: standard output: No space left on device\n"


def test_open_streams_pass_all_text(capsys: pytest.CaptureFixture[str]) -> None:
    with lasting_streams() as (out, err):
        print("one", 2)
        sys.stdout.writelines(["three\n", "four\n"])
        print("five", file=sys.stderr)
        assert out.lost is err.lost is None
        assert not sys.stdout.isatty()
    assert capsys.readouterr() == ("one 2\nthree\nfour\n", "five\n")


def piped_to_head(words: list[str], lines: Path) -> int:
    """`i2i WORDS | head -1 > LINES`, in this process."""
    with lines.open("w") as file, subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=file) as head:
        assert head.stdin is not None
        with contextlib.redirect_stdout(io.TextIOWrapper(head.stdin)) as stdout:
            code = main(words)
            stdout.close()  # as Python does at its end
    return code


def test_training_piped_to_head_finishes_silently(pairs: Path, tmp_path: Path, forks: Server) -> None:
    words = ["train", "pix2pix", str(pairs), *SMALL, "--steps", "8", "--log-every", "1", "--device", "cpu"]
    done = forks.run(piped_to_head, [*words, "--run", str(tmp_path / "run")], tmp_path / "lines").wait()
    assert (done.code, done.stderr) == (0, "")
    assert (tmp_path / "lines").read_text().count("\n") == 1
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 8


def test_a_log_handler_that_closes_its_stream_leaves_stderr_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the handler of absl does, which TensorBoard imports, when another library sets up logging."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with lasting_streams():
        taken = sys.stderr
        print("before", file=taken)
    taken.close()
    print("after", file=sys.stderr)
    assert stream.getvalue() == "before\nafter\n"
