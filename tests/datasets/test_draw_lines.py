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
    return importlib.import_module("draw_lines")


def photo(path: Path, *, light: int = 200, dark: int = 60, width: int = 150, height: int = 100) -> None:
    """Light on the left and dark on the right of the middle, with a little grain."""
    pixels = np.full((height, width, 3), light, np.int16)
    pixels[:, width // 2 :] = dark
    pixels += np.random.default_rng(0).integers(-2, 3, pixels.shape, np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = np.asarray(Image.open(path))
    return image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("method", ["xdog", "canny"])
@pytest.mark.parametrize(("light", "dark"), [(200, 60), (40, 8), (250, 215)], ids=["plain", "dim", "bright"])
def test_a_line_stands_on_the_edge_and_paper_where_nothing_is(script, tmp_path, method, light, dark):
    photo(tmp_path / "in/a.png", light=light, dark=dark)
    out = tmp_path / "out"
    assert script.main([str(tmp_path / "in"), str(out), "--method", method, "--size", "64", "--validation", "0"]) == 0
    drawing, colours = halves(out / "train/a.png")
    assert drawing.shape == colours.shape == (64, 64, 3)
    assert (drawing[:, 29:35].min(axis=1) < 64).all()
    assert drawing[:, :27].min() == drawing[:, 37:].min() == 255
    assert abs(colours[:, :30].mean() - light) < 2
    assert abs(colours[:, 34:].mean() - dark) < 2


@pytest.mark.parametrize("method", ["xdog", "canny"])
def test_an_edge_between_colours_of_one_lightness_has_a_line_too(script, method):
    colours = np.full((64, 64, 3), (0.6, 0.3, 0.3), np.float32)
    colours[:, 32:] = (0.3, 0.45, 0.3)
    drawing = script.METHODS[method](colours, width=1.5, detail=0.5)
    assert (drawing[:, 29:35].min(axis=1) < 0.25).all()


@pytest.mark.parametrize("method", ["xdog", "canny"])
def test_more_detail_adds_the_faint_edges(script, method):
    colours = np.full((96, 96, 3), 0.5, np.float32)
    colours[:, 24:28] = 0
    colours[40:60, 60:80] = 0.37
    ink = [(1 - script.METHODS[method](colours, width=1.5, detail=detail))[35:65, 55:85].sum() for detail in (0, 1)]
    assert ink[0] < 0.5 * ink[1]


def test_photos_are_split_and_named_after_their_folders(script, tmp_path):
    for name in ("a.jpg", "a.png", "a-2.png", "deep/er/a.png", "deep/er_a.png", "deep_er/A.png"):
        photo(tmp_path / "in" / name)
    for number in range(4):
        photo(tmp_path / f"in/{number}.png")

    def draw(name: str, *more: str) -> dict[str, bytes]:
        assert script.main([str(tmp_path / "in"), str(tmp_path / name), "--size", "32", *more]) == 0
        return files(tmp_path / name)

    first = draw("first")
    assert len({name.split("/")[1].casefold() for name in first}) == 10
    assert {"a.png", "a-2.png", "deep_er_a.png"} < {name.split("/")[1] for name in first}
    held = {name for name in first if name.startswith("val/")}
    assert len(held) == 1
    assert draw("again") == first
    assert {name for name in draw("other", "--seed", "1") if name.startswith("val/")} != held
    photo(tmp_path / "in/late.png")
    assert held <= set(draw("later"))


def test_an_unreadable_file_is_named_and_the_others_are_drawn(script, tmp_path, capsys):
    photo(tmp_path / "in/good.png")
    (tmp_path / "in/bad.png").write_bytes(b"no image")
    np.save(tmp_path / "in/two.npy", np.zeros((40, 40, 2), np.uint8))
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--size", "32", "--validation", "0"]
    assert script.main(words) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'in/bad.png'}: not an image that can be read: text\n" in said
    assert f"{tmp_path / 'in/two.npy'}: an image of 2 channels; expected grey or RGB\n" in said
    assert "2 of 3 images can't be read" in said
    assert list(files(tmp_path / "out")) == ["train/good.png"]


def test_grey_deep_and_transparent_photos_become_eight_bit_colour(script, tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((40, 40), 100 * 257, np.uint16)).save(tmp_path / "in/deep.png")
    Image.fromarray(np.full((40, 40, 4), (10, 20, 30, 0), np.uint8)).save(tmp_path / "in/clear.png")
    assert script.main([str(tmp_path / "in"), str(tmp_path / "out"), "--size", "32", "--validation", "0"]) == 0
    for name, level in (("deep", 100), ("clear", 255)):
        drawing, colours = halves(tmp_path / f"out/train/{name}.png")
        assert (colours == level).all()
        assert (drawing == 255).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in", "in/out"], "it is inside"),
        (["in", "in"], "it is inside"),
        (["in", "full"], "expected an empty folder"),
        (["nowhere", "out"], "there is no such folder"),
        (["none", "out"], "no images in it"),
        (["in", "out", "--validation", "1"], "a validation from 0 to less than 1"),
        (["in", "out", "--line-width", "0"], "expected a line width from 0.5 to 32"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(script, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "full/a.png")
    (tmp_path / "none").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        script.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
