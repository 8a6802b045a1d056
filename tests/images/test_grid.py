"""Sample grids and contact sheets."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor

from i2i.images.arrays import to_pixels
from i2i.images.grid import contact_sheet, save_sample_grid
from i2i.images.reading import read

WHITE = 255


def noise(height, width, channels=3, *, dtype=np.uint8, seed=0):
    # Below 200, so that nothing is the white of the paper.
    return np.random.default_rng(seed).integers(0, 200, (height, width, channels)).astype(dtype)


def test_images_lie_side_by_side_under_their_captions():
    one, two, three, four = (noise(6, 10, seed=seed) for seed in range(4))
    sheet = contact_sheet([[one, two], [three, four]], ["left", ""])
    # 4 around every image, 22 for the captions: 2 x 10 + 3 x 4 wide, 22 + 2 x 6 + 3 x 4 high.
    assert (sheet.shape, sheet.dtype) == ((46, 32, 3), np.uint8)
    for image, top, left in [(one, 26, 4), (two, 26, 18), (three, 36, 4), (four, 36, 18)]:
        assert_array_equal(sheet[top : top + 6, left : left + 10], image)
        sheet = sheet.copy()
        sheet[top : top + 6, left : left + 10] = WHITE
    assert (sheet[22:] == WHITE).all(), "nothing but paper between the images"


def test_a_caption_is_written_over_its_column():
    black = np.zeros((4, 60, 3), np.uint8)
    sheet = contact_sheet([[black, black, black]], ["", "Ag", ""])
    dark = np.flatnonzero((sheet[:24] < 100).any(axis=(0, 2)))
    # The second column begins at 4 + 60 + 4.
    assert 68 <= dark.min() <= dark.max() < 128


@pytest.mark.parametrize("side", [24, 32, 64, 128, 256])
@pytest.mark.parametrize("captions", [["real map", "fake sat"], ["real aerial photograph", "cycled street map"]])
def test_captions_stay_apart(side, captions):
    black = np.zeros((side, side, 3), np.uint8)
    sheet = contact_sheet([[black, black]], captions)
    dark = np.flatnonzero((sheet[:22] < 128).any(axis=(0, 2)))
    second = 4 + side + 4
    assert not ((dark >= second - 4) & (dark < second)).any(), "the gap between the columns is free"
    assert (dark >= second).any()
    assert (dark < second - 4).any()


def drawn(caption):
    return contact_sheet([[np.zeros((40, 200, 3), np.uint8)]], [caption])[:22].tobytes()


@pytest.mark.parametrize("fonts", ["of the system", "none"])
@pytest.mark.parametrize(("one", "two"), [("карта", "шапка"), ("été", "ßtß"), ("地図", "写真")])
def test_captions_of_any_script_can_be_told_apart(monkeypatch, fonts, one, two):
    if fonts == "none":
        monkeypatch.setattr("i2i.images.fonts._SYSTEM_FONTS", ())
    assert drawn(one) != drawn(two), "boxes of one number would look alike"


def test_columns_and_rows_are_as_large_as_their_largest_image():
    small, wide, tall = noise(4, 4), noise(4, 20, seed=1), noise(9, 6, seed=2)
    sheet = contact_sheet([[small, tall], [wide, small]], ["", ""])
    assert sheet.shape == (22 + 9 + 4 + 3 * 4, 20 + 6 + 3 * 4, 3)
    assert_array_equal(sheet[26:30, 4:8], small)
    assert_array_equal(sheet[26:35, 28:34], tall)
    assert_array_equal(sheet[39:43, 4:24], wide)
    assert_array_equal(sheet[39:43, 28:32], small)


def test_a_later_row_may_have_fewer_images():
    one, two, three = (noise(4, 4, seed=seed) for seed in range(3))
    sheet = contact_sheet([[one, two], [three]], ["", ""])
    assert sheet.shape == (22 + 8 + 12, 8 + 12, 3)
    assert_array_equal(sheet[34:38, 4:8], three)
    assert (sheet[34:38, 8:] == WHITE).all()


def test_images_are_scaled_to_one_longer_side():
    plain = np.full((6, 10, 3), 90, np.uint8)
    sheet = contact_sheet([[plain, np.full((24, 6, 3), 30, np.uint8)]], ["", ""], side=20)
    assert sheet.shape == (22 + 20 + 8, 20 + 5 + 12, 3)
    assert (sheet[26:38, 4:24] == 90).all()
    assert (sheet[26:46, 28:33] == 30).all()
    # However thin, one pixel stays.
    assert contact_sheet([[np.zeros((100, 1, 3), np.uint8)]], [""], side=10).shape == (40, 9, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_grey_and_sixteen_bits_are_shown_as_bright_as_they_are(dtype, scale, channels):
    image = noise(4, 4, channels)
    sheet = contact_sheet([[image.astype(dtype) * dtype(scale)]], [""])
    assert_array_equal(sheet[26:30, 4:8], np.broadcast_to(image, (4, 4, 3)))


class Shown(NamedTuple):
    real_a: Tensor
    fake_b: Tensor
    real_b: Tensor


def test_a_sample_grid_has_a_row_for_each_sample_and_names_the_domains(tmp_path):
    images = Shown(torch.rand(2, 3, 8, 8) * 2 - 1, torch.rand(2, 1, 8, 8) * 2 - 1, torch.rand(2, 3, 8, 8) * 2 - 1)
    path = tmp_path / "samples" / "000001.png"
    save_sample_grid(path, images, domains=("map", "sat"))
    sheet = read(path).pixels
    assert sheet.shape == (22 + 2 * 8 + 3 * 4, 3 * 8 + 4 * 4, 3)
    for row in range(2):
        for column, batch in enumerate(images):
            top, left = 26 + 12 * row, 4 + 12 * column
            expected = np.broadcast_to(to_pixels(batch[row]), (8, 8, 3))
            assert_array_equal(sheet[top : top + 8, left : left + 8], expected)


def test_the_columns_of_a_sample_grid_are_captioned(tmp_path):
    images = Shown(*(torch.full((1, 3, 8, 120), value) for value in (-1.0, 0.0, 1.0)))
    save_sample_grid(tmp_path / "grid.png", images, domains=("map", "sat"))
    rows = [[to_pixels(batch[0]) for batch in images]]
    assert_array_equal(read(tmp_path / "grid.png").pixels, contact_sheet(rows, ["real map", "fake sat", "real sat"]))


def test_half_precision_is_shown_too(tmp_path):
    images = Shown(*(torch.full((1, 3, 4, 4), 0.5, dtype=torch.bfloat16) for _ in range(3)))
    save_sample_grid(tmp_path / "grid.png", images, domains=("map", "sat"))
    assert (read(tmp_path / "grid.png").pixels[26:30, 4:8] == 191).all()


class Drawn(NamedTuple):
    real_b: Tensor
    fake_b: Tensor


def layout_of(path, *, size, columns):
    """The first channel at the middle of each image of a sheet, row by row."""
    pixels = read(path).pixels
    step = size + 4
    rows = (pixels.shape[0] - 26) // step
    assert pixels.shape == (26 + step * rows, 4 + step * columns, 3)
    return pixels[26 + size // 2 :: step, 4 + size // 2 :: step, 0].tolist()


@pytest.mark.parametrize(
    ("count", "across"), [(1, 1), (4, 1), (8, 1), (9, 2), (16, 2), (17, 3), (60, 8), (63, 8), (64, 8), (65, 9)]
)
def test_more_samples_than_eight_stand_in_several_columns(tmp_path, count, across):
    # Each sample has a value of its own, real ones 0, 1, 2 ... and drawn ones 100, 101, 102 ...
    level = torch.arange(count, dtype=torch.float32)
    plain = [((level + first) / 127.5 - 1).view(-1, 1, 1, 1).expand(-1, 3, 6, 6) for first in (0, 100)]
    save_sample_grid(tmp_path / "grid.png", Drawn(*plain), domains=("latent", "eyes"))
    found = layout_of(tmp_path / "grid.png", size=6, columns=2 * across)
    assert len(found) <= 8
    order = [indices for start in range(0, count, across) if (indices := range(start, start + across))]
    assert found == [
        [first + i if i < count else WHITE for first in (0, 100) for i in indices] for indices in map(list, order)
    ]


def test_the_captions_of_wide_columns_stand_over_their_first_image(tmp_path):
    images = Drawn(*(torch.full((9, 3, 8, 60), value) for value in (-1.0, 1.0)))
    save_sample_grid(tmp_path / "grid.png", images, domains=("latent", "eyes"))
    row = [to_pixels(batch[0]) for batch in images for _ in range(2)]
    expected = contact_sheet([row], ["real eyes", "", "fake eyes", ""])
    assert_array_equal(read(tmp_path / "grid.png").pixels[:22], expected[:22])


def test_fields_that_are_not_images_are_not_shown(tmp_path):
    class Labelled(NamedTuple):
        fake_b: Tensor
        labels: Tensor

    save_sample_grid(tmp_path / "grid.png", Labelled(torch.zeros(2, 3, 6, 6), torch.zeros(2, 10)), domains=("z", "x"))
    assert layout_of(tmp_path / "grid.png", size=6, columns=1) == [[128], [128]]
