import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage.measure import label

from i2i.data.sketch import varied_sketch
from i2i.data.transforms import JointTransform


def drawing(side=256, channels=1, dtype=np.uint8):
    """A black square and a circle in lines of 1 px on white."""
    pixels = np.full((side, side), 255, np.uint8)
    cv2.rectangle(pixels, (side // 8, side // 8), (side // 2, side // 2), 0)
    cv2.circle(pixels, (side * 5 // 8, side * 5 // 8), side // 4, 0)
    full = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    return np.repeat((pixels / 255 * full).astype(dtype)[..., None], channels, axis=-1)


def ink(image):
    """How dark each pixel is against the paper, from 0 to 1, whichever of the two is dark."""
    light = image[..., 0].astype(float) / 255
    return 1 - light if np.median(light) > 0.5 else light


def test_results_depend_on_the_seed_only_and_vary():
    image = drawing()
    kept = image.copy()
    seen = [varied_sketch(image, seed=seed) for seed in range(40)]
    assert_array_equal(image, kept)
    for seed in (3, 17):
        assert_array_equal(varied_sketch(image, seed=seed), seen[seed])
    assert len({one.tobytes() for one in seen}) > 35


def test_lines_become_thick_broken_and_grey_and_one_in_four_is_inverted():
    image = drawing()
    seen = [varied_sketch(image, seed=seed) for seed in range(200)]
    inverted = np.mean([np.median(one) < 128 for one in seen])
    assert 0.15 < inverted < 0.35
    areas = np.array([(ink(one) > 0.15).sum() for one in seen]) / (ink(image) > 0.5).sum()
    assert np.quantile(areas, 0.9) > 3, "thick lines"
    darkest = np.array([ink(one).max() for one in seen])
    assert (darkest < 0.7).mean() > 0.15, "grey lines"
    assert (darkest > 0.9).mean() > 0.3, "black lines"
    pieces = [label(ink(one) > 0.15, connectivity=2).max() for one in seen]
    assert np.mean(np.array(pieces) > 4) > 0.2, "gaps"
    # Nothing is drawn far from a line, and most of each line stays near where it was.
    near = cv2.dilate((ink(image) > 0.5).astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    for one in seen:
        assert not (ink(one) > 0.05)[~near].any()
        assert cv2.dilate((ink(one) > 0.05).astype(np.uint8), np.ones((9, 9), np.uint8))[ink(image) > 0.5].mean() > 0.6


@pytest.mark.parametrize("side", [32, 64, 512])
def test_an_empty_sheet_stays_empty_at_any_size(side):
    white = np.full((side, side, 3), 255, np.uint8)
    for seed in range(8):
        changed = varied_sketch(white, seed=seed)
        assert (changed == changed[0, 0]).all()
        assert changed[0, 0, 0] in (0, 255)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_depth_channels_and_alpha_are_kept(channels, dtype):
    image = drawing(64, channels, dtype)
    for seed in range(6):
        changed = varied_sketch(image, seed=seed)
        assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
        if channels in (2, 4):
            assert_array_equal(changed[..., -1], image[..., -1])


def test_light_lines_on_black_stay_so_unless_they_are_inverted():
    image = drawing()
    for seed in range(20):
        negative = 255 - varied_sketch(image, seed=seed).astype(int)
        # Rounded the other way, a half is another level.
        assert np.abs(varied_sketch(255 - image, seed=seed).astype(int) - negative).max() <= 1


def test_only_the_input_is_drawn_differently():
    image = drawing(64, 3)
    transform = JointTransform(image_size=64, augment=("sketch",))
    changed = [transform.pair(image, image, seed=seed) for seed in range(20)]
    assert all((target == image).all() for _, target in changed)
    assert sum(bool((drawn != image).any()) for drawn, _ in changed) > 15
