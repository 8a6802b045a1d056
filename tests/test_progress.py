"""Progress on a terminal, in a log, and with --quiet."""

from __future__ import annotations

import io
import logging
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from i2i.progress import Progress, logger


def counted(total: int, **options: object) -> None:
    with Progress(total=total, desc="translating", unit="image", **options) as bar:
        for number in range(total):
            bar.set_postfix_str(f"loss {number}")
            bar.update()


def test_without_a_terminal_long_work_adds_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Progress, "seconds", 0.0)
    counted(3)
    err = capsys.readouterr().err
    assert "\r" not in err
    lines = err.splitlines()

    assert all(re.fullmatch(r"translating image \d of 3: \d+ %, \d\d:\d\d so far, .+ left.*", line) for line in lines)
    assert lines[-1].startswith("translating image 3 of 3: 100 %")
    assert lines[-1].endswith(", loss 2")


def test_without_a_terminal_short_work_adds_none(capsys: pytest.CaptureFixture[str]) -> None:
    counted(3)
    assert list(Progress(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_silent_logger_silences_progress(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Progress, "seconds", 0.0)
    before = logger.level
    logger.setLevel(logging.ERROR if quiet else logging.WARNING)
    try:
        counted(3)
    finally:
        logger.setLevel(before)
    assert (capsys.readouterr().err == "") == quiet


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    counted(3, ncols=80, dynamic_ncols=False)
    last = sys.stderr.getvalue().split("\r")[-1]
    assert re.match(r"translating: 100%\|.+\| 3/3 ", last)


@pytest.mark.parametrize("command", ["translate", "evaluate", "check"])
def test_quiet_prints_nothing_and_verbose_prints_more(
    command: str, run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "translate": [pairs / "val", tmp_path / "out", "--model", run, "--overwrite"],
        "evaluate": [run, pairs, "--resamples", "0"],
        "check": [pairs, "--image-size", "32"],
    }
    said = {}
    for flag in ("--quiet", "--verbose", "-v", None):
        assert main([command, *map(str, words[command]), *([flag] if flag else [])]) == 0
        said[flag] = "".join(capsys.readouterr())
    assert said["--quiet"] == ""
    assert "0.png" in said["--verbose"]
    assert "0.png" in said["-v"]
    assert "0.png" not in said[None]
    assert said[None] != ""


def test_quiet_training_prints_errors_alone(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path / "run"), "--steps", "1", "--image-size", "32"]
    small = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    assert main([*words, *small, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*words, *small, "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("i2i: ")
    assert main([*words, *small, "--resume", "--quiet", "--verbose"]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_names_that_the_terminal_lacks_are_escaped(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    data = tmp_path / "写真"
    data.mkdir()
    assert main(["check", str(data)]) == 2
    for number in range(2):
        (data / f"{'AB'[number]}").mkdir()
        Image.new("RGB", (32, 32), (number, 0, 0)).save(data / f"{'AB'[number]}" / "é写.png")
    main(["check", str(data), "--image-size", "32", "-v"])
    expected = "写真" if encoding == "utf-8" else r"\u5199\u771f"
    for stream in streams:
        stream.flush()
        assert expected in stream.buffer.getvalue().decode(encoding)
