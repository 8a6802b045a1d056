"""`i2i sample`, and the training of the model that it samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from i2i.cli import main
from i2i.images.grid import contact_sheet
from support.commands import DRAWS, levels_of, refused_in_a_line, size_of


def test_train_a_gan(drawing: Path, shades: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in (drawing / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert {"generator/adversarial", "discriminator/adversarial"} <= set(lines[-1])
    # Nine samples stand in two columns of real and of drawn ones.
    assert size_of(drawing / "samples" / "000004.png") == (4 + 4 * 12, 26 + 5 * 12)
    words = ["train", "gan", str(shades), *DRAWS, "--run", str(tmp_path / "run"), "--batch-size", "4", "--steps", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{shades}/train: a single set of 8 images\nheld out: 2 images\n")
    assert f"use it: i2i sample {tmp_path / 'run'} samples.png" in said
    assert main([*words[:-1], "3", "--resume"]) == 0
    # Without classes it draws a square of them.
    assert main(["sample", str(tmp_path / "run"), str(tmp_path / "drawn.png")]) == 0
    assert len(squares(tmp_path / "drawn.png", rows=8, columns=8)) == 8


def squares(path: Path, *, rows: int, columns: int, size: int = 8) -> list[list[np.ndarray]]:
    """The images of a grid."""
    pixels, step = levels_of(path), size + 4
    assert pixels.shape == (26 + step * rows, 4 + step * columns, 3)
    starts = [[(26 + step * row, 4 + step * column) for column in range(columns)] for row in range(rows)]
    return [[pixels[top : top + size, left : left + size] for top, left in line] for line in starts]


def test_sample_to_a_file_and_to_a_folder(drawing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid, folder = tmp_path / "new" / "grid.png", tmp_path / "drawn"
    assert main(["sample", str(drawing), str(grid)]) == 0
    assert capsys.readouterr().out == f"{grid}: 16 images of 8 px\n"
    # Eight of each class, a column for each.
    shown = squares(grid, rows=8, columns=2)
    labelled = contact_sheet([[image.astype(np.uint8) for image in row] for row in shown], ["black", "white"])
    assert (labelled == levels_of(grid)).all()
    assert main(["sample", str(drawing), str(folder), "--count", "5"]) == 0
    assert capsys.readouterr().out == f"{folder}: 5 files of 8 px\n"
    assert sorted(path.name for path in folder.iterdir()) == [f"{number:05}.png" for number in range(1, 6)]
    for number in range(5):
        assert np.abs(levels_of(folder / f"{number + 1:05}.png") - shown[number // 2][number % 2]).max() <= 1
    assert main(["sample", str(drawing / "model.safetensors"), str(tmp_path / "other.png"), "--seed", "1"]) == 0
    assert not (levels_of(tmp_path / "other.png") == levels_of(grid)).all()
    (tmp_path / "odd.png").mkdir()
    assert main(["sample", str(drawing), str(tmp_path / "odd.png"), "--count", "1"]) == 0
    assert size_of(tmp_path / "odd.png" / "00001.png") == (8, 8)


def test_sample_one_label(drawing: Path, tmp_path: Path) -> None:
    for label in ("black", "white"):
        assert main(["sample", str(drawing), str(tmp_path / f"{label}.png"), "--label", label, "--count", "7"]) == 0
    # A square of images, the last row not full.
    black, white = (squares(tmp_path / f"{label}.png", rows=3, columns=3) for label in ("black", "white"))
    assert (black[2][1] == 255).all()
    assert not (black[2][0] == 255).all()
    assert main(["sample", str(drawing), str(tmp_path / "turn.png"), "--count", "2"]) == 0
    ((one, other),) = squares(tmp_path / "turn.png", rows=1, columns=2)
    assert np.abs(one - black[0][0]).max() <= 1
    assert np.abs(other - white[0][1]).max() <= 1
    assert np.abs(black[0][0] - white[0][0]).max() > 1


def test_sample_a_walk(drawing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk, folder = tmp_path / "walk.png", tmp_path / "steps"
    assert main(["sample", str(drawing), str(walk), "--walk", "4", "--label", "white"]) == 0
    assert "32 images" in capsys.readouterr().out
    walks = squares(walk, rows=8, columns=4)
    assert main(["sample", str(drawing), str(tmp_path / "ends.png"), "--count", "9", "--label", "white"]) == 0
    ends = [image for row in squares(tmp_path / "ends.png", rows=3, columns=3) for image in row]
    for index, row in enumerate(walks):
        assert np.abs(row[0] - ends[index]).max() <= 1
        assert np.abs(row[-1] - ends[index + 1]).max() <= 1
    assert main(["sample", str(drawing), str(folder), "--walk", "3", "--count", "2", "--label", "white"]) == 0
    assert len(list(folder.iterdir())) == 6
    assert np.abs(levels_of(folder / "00003.png") - ends[1]).max() <= 1
    assert np.abs(levels_of(folder / "00004.png") - ends[1]).max() <= 1


def test_wrong_use_of_sample(drawing: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, text = tmp_path / "out.png", tmp_path / "notes"
    text.write_text("hello")
    named = tmp_path / "00001.png"
    shutil.copy(drawing / "model.safetensors" if drawing.is_dir() else drawing, named)
    for words, expected in (
        ([named, named], "OUT would overwrite the input"),
        ([named, tmp_path, "--overwrite"], "OUT would overwrite the input"),
        ([drawing, tmp_path / "out.heic"], "give an image file for a grid"),
        ([run, out], "this model translates images; use it with translate"),
        ([tmp_path / "gone", out], "there is no such model file"),
        (["eyess", out], "unknown model 'eyess'"),
        ([drawing, out, "--label", "wite"], "unknown class 'wite'; did you mean 'white'?"),
        ([drawing, out, "--count", "0"], "0 images; ask for 1 or more"),
        ([drawing, out, "--walk", "1"], "a walk of 1 steps; it needs 2 or more"),
        ([drawing, out, "--walk", "3", "--count", "0"], "0 walks; ask for 1 or more"),
        ([drawing, out, "--wlak", "3"], "did you mean --walk?"),
        ([drawing, out, "more"], "unexpected argument 'more'"),
        ([drawing, text], "notes: give an image file for a grid, such as samples.png, or a folder"),
        ([drawing, tmp_path / "out.gif"], "out.gif: give an image file for a grid"),
        ([drawing, out, "--device", "cuda:99"], "'cuda:99' can't be used here"),
    ):
        assert expected in refused_in_a_line(capsys, "sample", *words), words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00001.png", "notes"]
