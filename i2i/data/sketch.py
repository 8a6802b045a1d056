"""Variations of a line drawing: people draw with pens and mice, not with an edge detector."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from i2i.images.decoded import PixelArray, full_scale


def varied_sketch(image: PixelArray, *, seed: int) -> PixelArray:
    """Draw the lines of a drawing differently: wobbly, thick, broken, soft, grey or, for one in four, inverted.

    Each change but the last is made to every second drawing, so that one in 43 stays as it is. Lengths are of a drawing
    of 256 px, and grow with the image. Alpha, the last of 2 or 4 channels, is unchanged.

    Args:
        image: pixels (H, W, C); lines are dark where most of the image is light, and light otherwise.
        seed: decides the changes.

    Returns:
        Pixels of the same shape and depth.
    """
    rng, white = np.random.default_rng(seed), full_scale(image.dtype)
    colour = image[..., :-1] if image.shape[-1] in (2, 4) else image
    values = colour.astype(np.float32) / np.float32(white)
    dark_lines = float(np.median(values)) >= 0.5
    ink = np.ascontiguousarray(1 - values if dark_lines else values)
    unit = min(image.shape[:2]) / 256
    for change in (_wobbled, _thickened, _broken, _softened):
        if rng.random() < 0.5:
            ink = change(ink, unit, rng).reshape(ink.shape)
    if rng.random() < 0.5:
        ink = ink * np.float32(rng.uniform(0.35, 1))
    if rng.random() < 0.25:
        dark_lines = not dark_lines
    values = np.clip(1 - ink if dark_lines else ink, 0, 1) * np.float32(white)
    result = image.copy()
    result[..., : colour.shape[-1]] = np.round(values) if np.issubdtype(image.dtype, np.integer) else values
    return result


def _wobbled(ink: NDArray[np.float32], unit: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Move every point by up to 3 px, and its neighbours nearly alike."""
    height, width = ink.shape[:2]
    moves = [_smooth_noise((height, width), 8 * unit, rng) for _ in range(2)]
    amplitude = rng.uniform(1, 3) * unit
    rows, columns = np.indices((height, width), dtype=np.float32)
    x, y = (np.float32(amplitude) * move / max(float(np.abs(move).max()), 1e-6) for move in moves)
    moved = [
        cv2.remap(np.ascontiguousarray(ink[..., channel]), columns + x, rows + y, cv2.INTER_LINEAR)
        for channel in range(ink.shape[-1])
    ]
    return np.stack(moved, axis=-1).astype(np.float32)


def _thickened(ink: NDArray[np.float32], unit: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Widen lines by 1 to 4 px."""
    wider = max(1, round(rng.integers(1, 5) * unit))
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wider + 1, wider + 1))
    return np.asarray(cv2.dilate(ink, pen), np.float32)


def _broken(ink: NDArray[np.float32], unit: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Leave out up to a fifth of the lines, in pieces."""
    noise = _smooth_noise(ink.shape[:2], 4 * unit, rng)
    return ink * (noise > np.quantile(noise, rng.uniform(0, 0.2)))[..., None].astype(np.float32)


def _softened(ink: NDArray[np.float32], unit: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur as a scan does, with a standard deviation of 0.3 to 1.2 px."""
    return np.asarray(cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 1.2) * max(unit, 0.5)), np.float32)


def _smooth_noise(size: tuple[int, ...], sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal(size).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), max(sigma, 0.5)), np.float32)
