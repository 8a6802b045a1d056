from __future__ import annotations

import math

import numpy as np
import pytest

from i2i.evaluation.warping_error import WarpingError, warping_error
from i2i.inference.video.motion import MotionEstimator
from support.videos import pan, texture


def test_a_texture_that_moves_has_an_error_near_zero() -> None:
    frames = pan(6, size=(96, 128), step=2)
    assert warping_error(frames, frames) < 1e-4


def test_a_texture_that_sticks_to_the_screen_has_the_error_of_its_shift() -> None:
    frames, sticking = pan(6, size=(96, 128), step=2), texture(96, 128, seed=1)
    unit = sticking / 255
    expected = np.square(unit[:, 2:] - unit[:, :-2]).mean()
    assert warping_error(frames, [sticking] * 6) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_random_brightness_adds_twice_its_variance(dtype: type, scale: int) -> None:
    frames = [frame // 2 + 64 for frame in pan(40, size=(48, 64))]
    shifts = np.random.default_rng(0).integers(-20, 21, 40)
    flickering = [((frame + shift) * scale).astype(dtype) for frame, shift in zip(frames, shifts, strict=True)]
    exact = np.mean(np.square(np.diff(shifts) / 255))
    found = warping_error(frames, flickering)
    assert found == pytest.approx(exact, rel=0.02)
    assert found == pytest.approx(2 * np.var(shifts / 255), rel=0.3)


def test_what_is_uncovered_and_what_leaves_are_not_counted() -> None:
    ground, thing = texture(96, 128), texture(32, 32, seed=3)
    frames = []
    for left in (20, 26):
        frame = ground.copy()
        frame[32:64, left : left + 32] = thing
        frames.append(frame)
    motion = MotionEstimator().between(*frames)
    assert motion.visible[40:56, 20:25].mean() < 0.3  # the object was there
    assert motion.visible[:24].mean() > 0.9
    assert np.median(motion.columns[40:56, 34:50] - np.arange(34, 50)) == pytest.approx(-6, abs=0.5)


def test_cuts_are_left_out_and_versions_measured_together() -> None:
    errors, still = WarpingError(), texture(48, 64)
    motion = MotionEstimator().between(still, still)
    grey = [np.full_like(still, level) for level in (0, 51, 255, 255)]
    for index, frame in enumerate(grey):
        errors.add(still, frame, motion=None if index in (0, 2) else motion)
    assert errors.pairs == 2
    assert errors.means == (pytest.approx(0, abs=1e-9), pytest.approx(0.04 / 2))
    assert all(map(math.isnan, WarpingError().means or (math.nan,)))
