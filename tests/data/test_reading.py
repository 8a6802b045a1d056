from __future__ import annotations

import numpy as np
import pytest

from i2i.data.layout import Source
from i2i.data.reading import read_source
from i2i.errors import ImageError
from support.datasets import many, save
from support.images import noise


def test_halves_are_left_and_right(tmp_path):
    path = save(tmp_path / "x.png", np.array([[1, 2, 3, 4]], np.uint8))
    assert read_source(Source(path, "left"), channels=1).tolist() == [[[1], [2]]]
    assert read_source(Source(path, "right"), channels=1).tolist() == [[[3], [4]]]
    assert read_source(Source(path), channels=1).tolist() == [[[1], [2], [3], [4]]]


@pytest.mark.parametrize(
    ("suffix", "channels", "dtype"),
    [(".npy", 1, np.uint8), (".tif", 4, np.uint16), (".npy", 6, np.float32), (".tif", 6, np.uint8)],
)
def test_halves_of_any_channels_are_left_and_right(tmp_path, suffix, channels, dtype):
    (one,) = many(tmp_path / "x", channels, dtype, suffix=suffix, count=1, size=(5, 12))
    whole = read_source(one, channels=channels)
    assert whole.shape == (5, 12, channels)
    assert (read_source(Source(one.path, "left"), channels=channels) == whole[:, :6]).all()
    assert (read_source(Source(one.path, "right"), channels=channels) == whole[:, 6:]).all()


def test_images_with_and_without_alpha_can_be_read_with_four_channels(tmp_path):
    solid = Source(save(tmp_path / "solid.png", noise(12, 12, 3)))
    clear = Source(save(tmp_path / "clear.png", np.dstack([noise(12, 12, 3), np.zeros((12, 12), np.uint8)])))
    for source, alpha in ((solid, 255), (clear, 0)):
        pixels = read_source(source, channels=4)
        assert (pixels[..., :3] == noise(12, 12, 3)).all()
        assert (pixels[..., 3] == alpha).all()
        assert read_source(source, channels=3).shape == (12, 12, 3)


def test_an_image_with_other_channels_is_named_with_the_setting(tmp_path):
    (one,) = many(tmp_path / "x", 6, np.uint8, count=1)
    with pytest.raises(ImageError) as error:
        read_source(one, channels=3)
    assert str(error.value) == (f"{one.path}: an image of 6 channels where 3 are needed, as channels says")
