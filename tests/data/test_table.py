"""Pairs that a CSV file lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from i2i.data import find_layout
from i2i.errors import UsageError
from support.runs import SMALL, scene


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Five pairs in folders and under names of their own."""
    lines = ["name,b,a,split"]
    for number, split in enumerate(["train", "train", "", "val", "test"]):
        for side, image in zip("ab", scene(number), strict=True):
            (tmp_path / f"side {side}" / str(number)).mkdir(parents=True)
            image.save(tmp_path / f"side {side}" / str(number) / f"{side}{number * 7}.png")
        lines.append(f"x,side b/{number}/b{number * 7}.png,side a/{number}/a{number * 7}.png,{split}")
    path = tmp_path / "pairs.csv"
    path.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    return path


def test_rows_are_pairs_of_their_split(table: Path) -> None:
    layout = find_layout([table], data="paired", domains=("drawing", "photo"))
    assert [source.path.name for source in layout.train.a] == ["a0.png", "a7.png", "a14.png"]
    assert [source.path.name for source in layout.train.b] == ["b0.png", "b7.png", "b14.png"]
    assert layout.validation
    assert [source.path.name for source in layout.validation.b] == ["b21.png"]
    assert layout.domains == ("drawing", "photo")
    swapped = find_layout([table], data="unpaired", swap=True)
    assert (swapped.matched, swapped.train.a[0].path.name) == ("unpaired", "b0.png")


def test_it_is_trained_on_checked_and_scored(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    assert main(["train", "pix2pix", str(table), "--run", str(run), "--steps", "2", "--workers", "0", *SMALL]) == 0
    assert "3 pairs" in capsys.readouterr().out
    assert main(["train", "pix2pix", "--run", str(run), "--resume", "--steps", "3", "--workers", "0"]) == 0
    assert main(["evaluate", str(run), str(table), "--json", str(scores)]) == 0
    assert json.loads(scores.read_text())["n"] == 1
    assert main(["check", str(table)]) in (0, 1)
    assert "all 8 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2", "the columns are x, y; expected the columns a and b"),
        ("", "the columns are missing"),
        ("a,b\n", "no pairs in this table"),
        ("a,b\none.png,two.png", "line 2: b is 'two.png'; there is no such file"),
        ("a,b\none.png", "line 2: b is ''"),
        ("a,b,split\none.png,one.png,dev", "line 2: split is 'dev'; expected train, val, test"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UsageError) as refused:
        find_layout([tmp_path / "pairs.csv"], data="paired")
    assert message in refused.value.args[0]


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such table"):
        find_layout([tmp_path / "none.csv"], data="paired")
    (tmp_path / "bad.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(UsageError, match="can't be read as a table"):
        find_layout([tmp_path / "bad.csv"], data="paired")
    with pytest.raises(UsageError, match="give a folder in place of a table"):
        find_layout([tmp_path / "bad.csv"], data="single")
