from __future__ import annotations

import cv2
import numpy as np
import pytest

from i2i.data.check.alignment import common_shift, correlate, unrelated
from i2i.data.check.similarity import thumbnail
from support.scenes import scene


def test_a_common_shift_is_measured_with_its_error():
    surfaces = np.array([correlate(*scene(seed, size=128, shift=(7, -4))) for seed in range(32)])
    shift = common_shift(surfaces)
    assert (shift.right * 128, shift.down * 128) == pytest.approx((7, -4), abs=max(0.25, 4 * shift.error * 128))
    assert shift.error * 128 < 0.25
    assert shift.clarity > 20


def test_fine_lines_across_a_long_image_do_not_alias():
    # The image shrinks along one axis and grows along the other.
    a, b = (cv2.resize(x, (1000, 30), interpolation=cv2.INTER_LINEAR) for x in scene(0))
    lined = (a // 2 + 64).astype(np.int16)
    lined[:, ::2] += 60
    lined[:, 1::2] -= 60
    lined = lined.astype(np.uint8)
    assert np.abs(thumbnail(lined) - thumbnail((a // 2 + 64).astype(np.uint8))).max() < 8
    assert np.abs(correlate(lined, b).astype(np.float32) - correlate(a // 2 + 64, b)).max() < 2


def test_fifty_true_pairs_are_not_unrelated():
    correlations = np.array([correlate(*scene(seed)) for seed in range(50)])
    assert not unrelated(correlations, common_shift(correlations))


def test_images_that_have_nothing_in_common_have_no_shift():
    surfaces = np.array([correlate(scene(seed)[0], scene(seed + 100)[1]) for seed in range(32)])
    assert not common_shift(surfaces).clear
