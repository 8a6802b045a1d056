from __future__ import annotations

import numpy as np
import pytest

from i2i.inference.video.blending import Blender
from i2i.inference.video.motion import MotionEstimator
from support.videos import pan, texture


def test_still_frames_are_averaged_by_the_recursion() -> None:
    source, estimator, blender = texture(48, 64), MotionEstimator(), Blender(0.75)
    levels, expected = [100, 180, 60], [100.0]
    for level in levels[1:]:
        expected.append(0.25 * level + 0.75 * expected[-1])
    for index, level in enumerate(levels):
        motion = estimator.between(source, source) if index else None
        result = blender.blend(source, np.full_like(source, level), motion=motion)
        inside = motion.visible if motion else np.ones((48, 64), bool)
        assert inside.mean() > 0.9
        assert abs(result[inside] - expected[index]).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_scene_begins_without_what_was_before(dtype: type) -> None:
    source, blender = texture(48, 64), Blender(0.9)
    first, second = (texture(48, 64, seed=seed).astype(dtype) for seed in (1, 2))
    assert (blender.blend(source, first, motion=None) == first).all()
    assert (blender.blend(source, second, motion=None) == second).all()


def test_what_changes_its_colour_is_not_blended() -> None:
    source, estimator, blender = texture(48, 64), MotionEstimator(), Blender(0.9)
    changed = source.copy()
    changed[16:32, 16:32] = 255 - changed[16:32, 16:32] // 8
    blender.blend(source, np.zeros_like(source), motion=None)
    white = np.full_like(source, 255)
    result = blender.blend(changed, white, motion=estimator.between(source, changed))
    assert np.median(result[18:30, 18:30]) > 200
    assert np.median(result[40:, 40:]) < 60


def test_a_result_that_moves_with_the_input_stays_sharp() -> None:
    frames, blender, estimator = pan(6, size=(96, 128), step=2), Blender(0.8), MotionEstimator()
    for index, frame in enumerate(frames):
        motion = estimator.between(frames[index - 1], frame) if index else None
        result = blender.blend(frame, frame, motion=motion)
    assert abs(result.astype(int) - frames[-1])[8:-8, 8:-16].mean() < 1.5


def test_frames_too_small_for_the_flow_are_not_blended() -> None:
    source, blender = texture(9, 12), Blender(0.9)
    blender.blend(source, source, motion=None)
    other = 255 - source
    assert (blender.blend(source, other, motion=MotionEstimator().between(source, source)) == other).all()
