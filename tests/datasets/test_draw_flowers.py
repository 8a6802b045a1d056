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
    return importlib.import_module("draw_flowers")


def test_a_curve_passes_its_ends_and_is_a_parabola(script: ModuleType) -> None:
    points = script.curve((0, 0), (1, 2), (2, 0), points=5)
    t = np.array([0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(points, np.stack([2 * t, 4 * t * (1 - t)], axis=1), atol=1e-12)


def test_drawings_are_dark_lines_on_white_that_differ_and_come_again(script: ModuleType, tmp_path: Path) -> None:
    for name, count in (("one", "3"), ("again", "2")):
        script.main([str(tmp_path / name), "--count", count, "--size", "96", "--seed", "5"])
    drawings = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "one").iterdir())]
    assert [drawing.shape for drawing in drawings] == [(96, 96, 3)] * 3
    for drawing in drawings:
        assert 0.03 < (drawing < 128).mean() < 0.3, "lines"
        assert (drawing == 255).mean() > 0.6, "paper"
    assert len({drawing.tobytes() for drawing in drawings}) == 3
    again = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "again").iterdir())]
    assert all(np.array_equal(first, second) for first, second in zip(again, drawings, strict=False))


@pytest.mark.parametrize("words", [("--count", "0"), ("--size", "8")])
def test_wrong_use(script: ModuleType, tmp_path: Path, words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        script.main([str(tmp_path / "out"), *words])
    assert not (tmp_path / "out").exists()
