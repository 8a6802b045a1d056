from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "datasets")
    return importlib.import_module("restyle_maps")


def test_each_colour_becomes_that_of_the_same_thing(script: ModuleType) -> None:
    old, new = (np.array(list(colours), np.uint8) for colours in (script.OPENSTREETMAP, script.OPENSTREETMAP.values()))
    found = script.restyled(old[None])[0].astype(int)
    # Neighbouring greys of the one style are mixed a little.
    assert np.abs(found - new).max() <= 25
    distinct = [list(script.OPENSTREETMAP).index(colour) for colour in (script.HIGHWAY, script.WATER, script.PITCH)]
    assert np.abs(found - new)[distinct].max() <= 4


def test_a_colour_between_two_becomes_one_between_theirs(script: ModuleType) -> None:
    between = np.mean([script.WATER, script.ROAD], axis=0).astype(np.uint8)
    found = script.restyled(between[None, None])[0, 0].astype(float)
    ends = np.array([script.OPENSTREETMAP[colour] for colour in (script.WATER, script.ROAD)], float)
    assert (found >= ends.min(axis=0) - 20).all()
    assert (found <= ends.max(axis=0)).all()


@pytest.mark.parametrize("side", [None, "left", "right"])
def test_only_the_map_of_a_pair_is_changed(script: ModuleType, tmp_path: Path, side: str | None) -> None:
    with Image.open(ROOT / "datasets" / "examples" / "04-highway-interchange.png") as example:
        pixels = np.asarray(example)
    (tmp_path / "in" / "train").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "in" / "train" / "1.png")
    script.main([str(tmp_path / "in"), str(tmp_path / "out"), *(["--side", side] if side else [])])
    changed = (np.asarray(Image.open(tmp_path / "out" / "train" / "1-osm.png")) != pixels).any(axis=-1)
    halves = {"left": changed[:, :128].mean(), "right": changed[:, 128:].mean()}
    for half, share in halves.items():
        assert share == 0 if side not in (None, half) else share > 0.8


def test_maps_of_the_same_names_are_pairs(script: ModuleType, tmp_path: Path) -> None:
    examples = ROOT / "datasets" / "examples"
    script.main([str(examples), str(tmp_path / "out"), "--same-names"])
    names = [{path.name for path in folder.iterdir()} for folder in (examples, tmp_path / "out")]
    assert names[0] == names[1]


def test_a_folder_without_images_is_refused(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), str(tmp_path / "out")])
    assert "no images in this folder" in capsys.readouterr().err
