from __future__ import annotations

import cv2
import numpy as np
import pytest

from i2i.inference.video.cuts import CutDetector
from support.videos import pan, texture


def cuts(frames: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.is_cut(frame)]


@pytest.mark.parametrize("size", [(48, 64), (270, 480), (9, 7)])
def test_each_texture_begins_a_scene(size: tuple[int, int]) -> None:
    frames = [frame for seed in range(3) for frame in [texture(*size, seed=seed)] * 3]
    assert cuts(frames) == [0, 3, 6]


def test_a_pan_a_zoom_a_fade_and_noise_are_no_cuts() -> None:
    ground = texture(240, 320)
    zoom = [cv2.warpAffine(ground, np.float32([[s, 0, 0], [0, s, 0]]), (320, 240)) for s in (1, 1.03, 1.06)]
    fade = [np.rint(ground * share).astype(np.uint8) for share in (1, 0.8, 0.6, 0.5)]
    noise = np.random.default_rng(0).normal(0, 20, (3, *ground.shape))
    noisy = [np.clip(ground + one, 0, 255).astype(np.uint8) for one in noise]
    for frames in (pan(8, size=(240, 320), step=12), zoom, fade, noisy):
        assert cuts(frames) == [0]


def test_an_object_that_enters_is_no_cut() -> None:
    ground = texture(240, 320)
    entered = ground.copy()
    cv2.circle(entered, (160, 120), 80, (255, 255, 0), -1)
    assert cuts([ground, entered, ground]) == [0]


def test_black_frames_and_sixteen_bit() -> None:
    ground = texture(48, 64)
    assert cuts([np.zeros_like(ground), np.zeros_like(ground), ground]) == [0, 2]
    assert cuts([ground.astype(np.uint16) * 257] * 2 + [texture(48, 64, seed=1).astype(np.uint16) * 257]) == [0, 2]
