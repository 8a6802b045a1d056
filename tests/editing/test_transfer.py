"""Edits that generated images show are carried over to a photograph of another size."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.editing.transfer import blend_edit, transfer_edit


def textured(height, width, *, channels=3, seed=0):
    fine = np.random.default_rng(seed).uniform(-0.2, 0.2, (height, width, channels))
    return np.clip(scene(height, width, channels=channels) + fine, -1, 1).astype(np.float32)


def scene(height, width, *, centre=(0.4, 0.5), channels=3, light=0.0):
    """A soft bright blob on a gradient."""
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.02)
    image = -0.5 + 0.3 * x + 0.6 * blob + light
    return np.repeat(image[..., None], channels, axis=2).astype(np.float32).clip(-1, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_an_edit_the_photograph_stays_bit_for_bit(channels):
    photo, still = textured(90, 130, channels=channels), scene(32, 32, channels=channels)
    assert np.array_equal(transfer_edit(photo, [still, still, still]), photo)
    assert np.array_equal(blend_edit(photo, still, still), photo)


def test_what_moves_in_the_frames_moves_in_the_photograph_with_its_details():
    photo = textured(200, 300)
    frames = [scene(64, 64, centre=(0.4 + 0.15 * step / 7, 0.5)) for step in range(8)]
    edited = transfer_edit(photo, frames)
    brightest = np.unravel_index(np.argmax(edited.mean(2) @ np.eye(300)), (200, 300))
    wanted = scene(200, 300, centre=(0.55, 0.5))
    assert abs(brightest[1] / 300 - 0.55) < 0.06
    assert np.abs(edited - wanted).mean() < 0.5 * np.abs(photo - wanted).mean() + 0.1
    details = edited - wanted
    assert details[60:140, 120:210].std() > 0.06, "the texture is still there"


def test_a_change_of_light_keeps_the_texture():
    photo = textured(120, 120)
    frames = [scene(64, 64, light=0.2 * step / 4) for step in range(5)]
    change = transfer_edit(photo, frames) - photo
    assert change[30:90, 60:].mean() == pytest.approx(0.2, abs=0.04)
    assert change[30:90, 60:].std() < 0.1


def test_a_blend_shows_the_edit_where_it_is_and_the_photograph_elsewhere():
    photo, before = textured(128, 128), scene(32, 32)
    after = before.copy()
    after[4:12, 20:28] = [1, -1, -1]
    edited = blend_edit(photo, before, after)
    assert np.array_equal(edited[80:], photo[80:])
    assert np.abs(edited[24:40, 88:104] - [1, -1, -1]).mean() < 0.35 * np.abs(photo[24:40, 88:104] - [1, -1, -1]).mean()
