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
    return importlib.import_module("draw_facades")


def test_a_facade_has_a_wall_windows_and_a_door_in_the_colours_of_the_classes(
    script: ModuleType, tmp_path: Path
) -> None:
    for name, count in (("one", "6"), ("again", "2")):
        script.main([str(tmp_path / name), "--count", count, "--size", "128", "--seed", "3"])
    facades = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "one").iterdir())]
    classes = {value for name, value in vars(script).items() if name.isupper() and len(value) == 3}
    assert len(classes) == 12
    for facade in facades:
        assert facade.shape == (128, 128, 3)
        found, counts = np.unique(facade.reshape(-1, 3), axis=0, return_counts=True)
        shares = {tuple(colour): count / 128**2 for colour, count in zip(found.tolist(), counts, strict=True)}
        assert shares.keys() <= classes
        assert shares[script.WALL] > 0.2
        assert shares[script.WINDOW] > 0.03
        assert 0.003 < shares[script.DOOR] < 0.1
    assert len({facade.tobytes() for facade in facades}) == 6
    again = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "again").iterdir())]
    assert all(np.array_equal(first, second) for first, second in zip(again, facades, strict=False))


@pytest.mark.parametrize("words", [("--count", "0"), ("--size", "8")])
def test_wrong_use(script: ModuleType, tmp_path: Path, words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        script.main([str(tmp_path / "out"), *words])
    assert not (tmp_path / "out").exists()
