"""Mostly dark images are inverted before they are translated, where that is asked for."""

import numpy as np
import pytest
import torch
from PIL import Image

from i2i import Translator, translate
from i2i.cli import main
from i2i.model_file import Model
from support.images import Same


def drawing(side=40, channels=3):
    """Black lines on white."""
    pixels = np.full((side, side, channels), 255, np.uint8)
    pixels[8:10] = pixels[:, 20:22] = 30
    return pixels


def inverting(channels=3):
    model = Model({"a2b": Same(channels)}, ("a", "b"), {}, {}, 0)
    return Translator.from_model(model, device="cpu", invert_dark=True)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_dark_images_are_inverted_and_light_ones_are_not(channels, tile):
    light = drawing(channels=channels)
    assert np.array_equal(inverting(channels)(light, tile=tile), light)
    assert np.array_equal(inverting(channels)(255 - light, tile=tile), light)


def test_each_image_of_a_batch_is_judged_by_itself():
    light = torch.from_numpy(drawing().transpose(2, 0, 1).copy())
    result = inverting()(torch.stack([light, 255 - light, light]))
    assert torch.equal(result, torch.stack([light] * 3))


def test_alpha_is_not_inverted():
    light = np.concatenate([drawing(), np.full((40, 40, 1), 7, np.uint8)], axis=-1)
    dark = light.copy()
    dark[..., :3] = 255 - dark[..., :3]
    for channels in (3, 4):
        assert np.array_equal(inverting(channels)(dark), light)


def test_the_option_of_translate_and_of_the_command_line(run, tmp_path, capsys):
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    Image.fromarray(drawing(32)).save(light)
    Image.fromarray(255 - drawing(32)).save(dark)
    expected = translate(light, run)
    assert np.array_equal(translate(dark, run, invert_dark=True), expected)
    assert not np.array_equal(translate(dark, run), expected)
    (tmp_path / "in").mkdir()
    dark.rename(tmp_path / "in" / "dark.png")
    words = ["translate", str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(run)]
    assert main([*words, "--invert-dark"]) == 0
    with Image.open(tmp_path / "out" / "dark.png") as written:
        assert np.array_equal(written, expected)
    capsys.readouterr()
    assert main(words) == 2
    assert "1 made with --invert-dark" in capsys.readouterr().err
