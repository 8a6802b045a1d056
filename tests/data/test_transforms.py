from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from i2i.data.transforms import JointTransform
from i2i.images.decoded import full_scale
from support.images import noise

EVERY = ("flip", "vertical_flip", "rotate90", "affine", "colour", "sketch")


def places(side, channels=3):
    """An image in which every pixel is another."""
    pixels = np.arange(side * side, dtype=np.uint8).reshape(side, side, 1)
    return np.repeat(pixels, channels, axis=-1)


def results(transform, image, count=40):
    """What becomes of an image and of the same image as its partner, seed by seed."""
    return [transform.pair(image, image, seed=seed) for seed in range(count)]


def outcomes(transform, image):
    pairs = results(transform, image)
    for a, b in pairs:
        assert_array_equal(a, b, strict=True)
    return {a[..., 0].tobytes() for a, _ in pairs}


def orientations(*images):
    return {np.ascontiguousarray(image[..., 0]).tobytes() for image in images}


def test_without_augmentation_an_image_of_the_right_size_is_unchanged():
    assert outcomes(JointTransform(image_size=8), places(8)) == orientations(places(8))


def test_crops_are_windows_at_many_positions():
    corners = set()
    for a, b in results(JointTransform(image_size=5), places(8), count=200):
        assert_array_equal(a, b, strict=True)
        top, left = divmod(int(a[0, 0, 0]), 8)
        assert_array_equal(a, places(8)[top : top + 5, left : left + 5], strict=True)
        corners.add((top, left))
    assert corners == {(top, left) for top in range(4) for left in range(4)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("flip", lambda x: [x, x[:, ::-1]]),
        ("vertical_flip", lambda x: [x, x[::-1]]),
        ("rotate90", lambda x: [np.rot90(x, turns) for turns in range(4)]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_flips_and_rotations_are_exact_and_equal_for_both(change, expected, channels):
    image = places(8, channels)
    assert outcomes(JointTransform(image_size=8, augment=(change,)), image) == orientations(*expected(image))


def test_affine_moves_both_alike_and_reflects_at_the_border():
    image = places(16) // 2 + 100
    seen = outcomes(JointTransform(image_size=16, augment=("affine",)), image)
    assert len(seen) > 10
    assert min(np.frombuffer(b"".join(seen), np.uint8)) >= 100, "no black corners"


@pytest.mark.parametrize("augment", [("colour",), tuple(name for name in EVERY if name != "sketch")])
def test_colour_changes_only_the_input(augment):
    image = np.full((8, 8, 3), 100, np.uint8)
    pairs = results(JointTransform(image_size=8, augment=augment), image)
    assert all((b == 100).all() for _, b in pairs)
    changed = [bool((a != 100).any()) for a, _ in pairs]
    assert 5 < sum(changed) < 35, "about half of the inputs"
    assert all((a == a[0, 0]).all() for a, _ in pairs), "the same change everywhere"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shapes", [(1, 1), (3, 3), (1, 3), (3, 1), (2, 2), (4, 3), (4, 4), (5, 1), (6, 6), (13, 13)])
def test_every_change_keeps_depth_channels_and_range(shapes, dtype):
    a, b = (noise(12, 12, channels, dtype=dtype) for channels in shapes)
    transform = JointTransform(image_size=8, augment=EVERY)
    for seed in range(5):
        changed = transform.pair(a, b, seed=seed)
        assert [(x.shape, x.dtype) for x in changed] == [((8, 8, c), dtype) for c in shapes]
        assert transform.one(a, seed=seed, is_input=True).shape == (8, 8, shapes[0])
        assert all(0 <= x.min() <= x.max() <= full_scale(x.dtype) for x in changed)


def test_results_depend_on_the_seed_only():
    image = places(16)
    transform = JointTransform(image_size=8, augment=EVERY)
    before = [pair[0] for pair in results(transform, image, count=8)]
    again = [JointTransform(image_size=8, augment=EVERY).pair(image, image, seed=seed)[0] for seed in range(7, -1, -1)]
    for x, y in zip(before, reversed(again), strict=True):
        assert_array_equal(x, y)


def test_a_single_image_is_augmented_as_in_a_pair():
    image = places(16)
    transform = JointTransform(image_size=8, augment=EVERY)
    for seed in range(8):
        a, b = transform.pair(image, image, seed=seed)
        assert_array_equal(transform.one(image, seed=seed, is_input=True), a)
        assert_array_equal(transform.one(image, seed=seed, is_input=False), b)


@pytest.mark.parametrize(
    ("channels", "dtype"), [(2, np.uint16), (4, np.float32), (5, np.uint8), (13, np.float32), (13, np.uint16)]
)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("flip", lambda x: [x, x[:, ::-1]]),
        ("vertical_flip", lambda x: [x, x[::-1]]),
        ("rotate90", lambda x: [np.rot90(x, turns) for turns in range(4)]),
    ],
)
def test_all_channels_are_flipped_and_rotated_together(change, expected, channels, dtype):
    image = noise(8, 8, channels, dtype=dtype)
    changed = results(JointTransform(image_size=8, augment=(change,)), image, count=20)
    assert {np.ascontiguousarray(x).tobytes() for pair in changed for x in pair} == {
        np.ascontiguousarray(x).tobytes() for x in expected(image)
    }


@pytest.mark.parametrize(
    ("channels", "dtype"), [(2, np.uint16), (4, np.float32), (5, np.uint8), (13, np.float32), (13, np.uint16)]
)
def test_affine_moves_every_channel_alike(channels, dtype):
    one = noise(16, 16, 1, dtype=dtype)
    for a, b in results(JointTransform(image_size=16, augment=("affine",)), np.repeat(one, channels, axis=-1), count=8):
        assert_array_equal(a, b, strict=True)
        assert_array_equal(a, np.repeat(a[..., :1], channels, axis=-1))


@pytest.mark.parametrize("shapes", [(1, 13), (4, 1), (6, 3)])
def test_affine_moves_pairs_with_different_channels_alike(shapes):
    one = noise(16, 16, 1)
    transform = JointTransform(image_size=16, augment=("affine", "flip"))
    for seed in range(8):
        a, b = transform.pair(*(np.repeat(one, channels, axis=-1) for channels in shapes), seed=seed)
        assert_array_equal(a[..., 0], b[..., -1], strict=True)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_colour_changes_deep_images_as_much_as_8_bit_ones(dtype):
    white = full_scale(np.dtype(dtype))
    shallow, deep = (
        [a[0, 0, 0] / full for a, _ in results(JointTransform(image_size=8, augment=("colour",)), image)]
        for image, full in (
            (np.full((8, 8, 3), 51, np.uint8), 255),
            (np.full((8, 8, 3), white / 5).astype(dtype), white),
        )
    )
    assert len({round(share, 3) for share in deep}) > 5
    assert np.abs(np.array(shallow) - deep).max() < 0.01
