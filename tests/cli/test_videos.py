"""`i2i translate` of videos."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from support.commands import refused_in_a_line
from support.videos import frames_of, pan, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mp4", [*pan(4), *pan(4, seed=5)])


def test_translate_a_video(run: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mp4"
    assert main(["translate", str(video), str(out), "--model", str(run), "--norm-smooth", "0.5"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"out\.mp4: 8 frames translated to photo \([\d.]+ frames/s, 2 scenes\)\n", said)
    number = r"([\d.]+)"
    pattern = rf"flicker \(warping error\): input {number}, with --norm-smooth 0.5 {number}, smoothed {number}\n"
    found = re.search(pattern, said)
    assert found
    assert float(found[3]) < float(found[2])
    assert [frame.shape for frame in frames_of(out)] == [(48, 64, 3)] * 8
    assert main(["translate", str(video), str(out), "--model", str(run), "--smooth", "0", "--overwrite"]) == 0
    assert "flicker" not in capsys.readouterr().out


def test_a_video_goes_into_a_folder(run: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert main(["translate", str(video), str(tmp_path / "out"), "--model", str(run)]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.mp4"]


def test_a_video_among_images_is_left_out(
    run: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    video.rename(tmp_path / "images" / "in.mp4")
    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "a.png")
    assert main(["translate", str(tmp_path / "images"), str(tmp_path / "out"), "--model", str(run)]) == 0
    assert "1 translated to photo" in (said := capsys.readouterr().out)
    assert "1 non-image left out" in said


def test_what_cannot_be_done_is_an_error_in_a_line(
    run: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, image = tmp_path / "out.mp4", tmp_path / "a.png"
    Image.new("RGB", (16, 16)).save(image)
    existing = tmp_path / "there.mp4"
    existing.write_bytes(b"")
    for words, expected in (
        ([tmp_path / "gone.mp4", out], "there is no such video"),
        ([video, existing], "exists already; give --overwrite"),
        ([video, video, "--overwrite"], "would overwrite the input"),
        ([video, tmp_path / "out.gif"], "a video ends in .mp4, .m4v, .mov, .mkv or .webm"),
        ([video, out, "--samples", "2"], "--samples is for images"),
        ([video, out, "--contact-sheet", "a.png"], "--contact-sheet is for images"),
        ([video, out, "--format", "png"], "the format of a video is the suffix of OUTPUT"),
        ([video, out, "--smooth", "1"], "--smooth 1.0: it must be from 0 (off) to below 1"),
        ([image, tmp_path / "b.png", "--smooth", "0.5"], "--smooth is for a video"),
        ([image, out], "can't write that format"),
    ):
        assert expected in refused_in_a_line(capsys, "translate", *words, "--model", run), words
    assert not out.exists()


def test_a_damaged_video_is_an_error_in_a_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.mp4").write_bytes(b"no video")
    assert main(["translate", str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), "--model", str(run)]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"i2i: .*in\.mp4: not a video that can be read: .*\n", said)
    assert not (tmp_path / "out.mp4").exists()
