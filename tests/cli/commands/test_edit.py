"""`i2i edit`: strokes from a file, the candidates, the morph, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from support.commands import levels_of, refused_in_a_line, size_of


@pytest.fixture(scope="module")
def edited(unpaired: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of ian, a photograph and strokes."""
    folder = tmp_path_factory.mktemp("edit")
    networks = ["--generator", "ian:width=4", "--discriminator", "ian:width=4,minibatch=2"]
    size = ["--image-size", "16", "--batch-size", "2", "--steps", "2", "--workers", "0", "--validate-every", "0"]
    words = ["train", "ian", str(unpaired / "trainB"), "--run", str(folder / "run"), "--quiet", "--device", "cpu"]
    assert main([*words, *networks, *size]) == 0
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photo.png")
    strokes = [
        {"brush": "colour", "points": [[0.2, 0.2], [0.8, 0.2]], "colour": [255, 0, 0], "width": 0.1},
        {"brush": "sketch", "points": [[0.5, 0.1], [0.5, 0.9]]},
        {"brush": "warp", "start": [0.3, 0.3], "end": [0.6, 0.3]},
    ]
    (folder / "strokes.json").write_text(json.dumps(strokes))
    return folder


def words(folder: Path, *more: str) -> list[str]:
    files = ["edit", str(folder / "photo.png"), str(folder / "out.png"), "--model", str(folder / "run")]
    return [*files, "--strokes", str(folder / "strokes.json"), "--device", "cpu", *more]


def test_edit_writes_the_photograph_the_candidates_and_the_morph(
    edited: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--candidates", str(edited / "candidates.png"), "--morph", str(edited / "morph.gif"), "--candidate", "2"]
    assert main(words(edited, *more)) == 0
    assert capsys.readouterr().out.startswith(f"{edited / 'out.png'}: candidate 2 of 8, cost ")
    transferred = levels_of(edited / "out.png")
    assert transferred.shape == (40, 60, 3)
    assert size_of(edited / "morph.gif") == (16, 16)
    assert size_of(edited / "candidates.png")[0] > 8 * 16
    assert main(words(edited, "--show", "blend")) == 0
    assert not np.array_equal(levels_of(edited / "out.png"), transferred)
    assert main(words(edited, "--show", "image")) == 0
    assert size_of(edited / "out.png") == (16, 16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "that isn't JSON"),
        ("{}", "expected a list of strokes"),
        ('[{"brush": "spray"}]', "stroke 1 needs a brush, one of colour, sketch, warp"),
        ('[{"brush": "sketch"}]', "stroke 1 can't be read; a sketch stroke has points, width"),
        (
            '[{"brush": "sketch", "points": [[0, 0]], "size": 1}]',
            "stroke 1 has 'size'; a sketch stroke has points, width",
        ),
        ('[{"brush": "sketch", "points": [[0, 0]], "width": 2}]', "stroke 1: a stroke of width 2"),
    ],
)
def test_wrong_strokes_are_named(
    edited: Path, tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.json").write_text(text)
    given = words(edited)
    given[given.index("--strokes") + 1] = str(tmp_path / "wrong.json")
    assert said in refused_in_a_line(capsys, *given)


def test_wrong_use_of_edit(edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give a .gif file" in refused_in_a_line(capsys, *words(edited, "--morph", "out.mp4"))
    assert "there are 8, counted from 0" in refused_in_a_line(capsys, *words(edited, "--candidate", "9"))
    given = words(edited)
    given[given.index("--model") + 1] = "map2sat"
    assert "translates images; edit with a model that i2i train gan or ian has made" in refused_in_a_line(
        capsys, *given
    )
    given = words(edited)
    given[given.index("--strokes") + 1] = str(tmp_path / "none.json")
    assert "No such file" in refused_in_a_line(capsys, *given)
