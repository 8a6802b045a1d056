from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[2] / "datasets"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("redraw_sketches")


@pytest.fixture
def sketches(tmp_path: Path) -> Path:
    """Six pairs: a cross on white, and grey noise."""
    for number in range(6):
        pixels = np.full((64, 128, 3), 255, np.uint8)
        pixels[30 + number] = pixels[:, 20 + number] = 0
        pixels[:, 64:] = np.random.default_rng(number).integers(0, 256, (64, 64, 3))
        path = tmp_path / "in" / f"fold{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "in"


def files(folder: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in folder.rglob("*.png")}


def test_drawings_change_and_photos_do_not(script: ModuleType, sketches: Path, tmp_path: Path) -> None:
    script.main([str(sketches), str(tmp_path / "out"), "--side", "left"])
    before, after = files(sketches), files(tmp_path / "out")
    assert before.keys() == after.keys()
    assert all(np.array_equal(after[name][:, 64:], before[name][:, 64:]) for name in before)
    assert sum(not np.array_equal(after[name][:, :64], before[name][:, :64]) for name in before) >= 5


def test_a_seed_gives_the_same_files_whatever_others_there_are(
    script: ModuleType, sketches: Path, tmp_path: Path
) -> None:
    script.main([str(sketches), str(tmp_path / "one"), "--seed", "3"])
    script.main([str(sketches), str(tmp_path / "other"), "--seed", "4"])
    next(sketches.rglob("0.png")).unlink()
    script.main([str(sketches), str(tmp_path / "again"), "--seed", "3"])
    one, other, again = (files(tmp_path / name) for name in ("one", "other", "again"))
    assert all(np.array_equal(again[name], one[name]) for name in again)
    assert not all(np.array_equal(other[name], one[name]) for name in one)


def test_a_folder_without_images_and_a_full_one_are_refused(
    script: ModuleType, sketches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        script.main([str(tmp_path / "empty"), str(tmp_path / "out")])
    assert "no images in this folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        script.main([str(sketches), str(sketches)])
    assert "expected an empty folder" in capsys.readouterr().err
