"""Measure the shift between the images of a pair by phase correlation of their outlines."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.resizing import resized
from i2i.images.decoded import PixelArray, full_scale

CorrelationMap: TypeAlias = NDArray[Any]

_SIDE = 128  # images are compared at this height and width
_MAX_SHIFT = 24  # in those pixels
_PEAK_RADIUS = 10  # in those pixels
_CLEAR = 10.0
_UNRELATED = 7.0  # images of different scenes stay below 6.5, however many; 100 true pairs lie above 20
_CLEAR_ALONE = 14.0  # single pairs of real sets reach 10 by chance, as facades repeat themselves


class Shift(NamedTuple):
    """How far b is shifted against a.

    Attributes:
        right: to the right, as a share of the width.
        down: downwards, as a share of the height.
        error: standard error of either.
        clarity: height of the correlation peak over the standard deviation around it.
    """

    right: float
    down: float
    error: float
    clarity: float

    @property
    def clear(self) -> bool:
        """Whether the peak stands out from noise."""
        return self.clarity >= _CLEAR


def correlate(a: PixelArray, b: PixelArray) -> CorrelationMap:
    """Correlate the outlines of two images (H, W, C) at each shift.

    Source: phase correlation, Kuglin and Hines 1975, of gradient magnitudes, so that a drawing matches a photo. High
    frequencies are left out: there JPEG's blocks of 8 pixels would match.

    Returns:
        (49, 49) float16 with no shift in the middle, in standard deviations over all shifts; 0 where an image is flat.
    """
    spectrum = np.conj(np.fft.rfft2(_outlines(a))) * np.fft.rfft2(_outlines(b))
    size = np.abs(spectrum)
    down, right = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)
    coarse = np.exp(-(down**2 + right**2) / (2 * 0.1**2))
    coarse[0, 0] = 0
    whole = np.fft.fftshift(np.fft.irfft2(spectrum / (size + 1e-6 * size.max() + 1e-9) * coarse, (_SIDE, _SIDE)))
    middle = slice(_SIDE // 2 - _MAX_SHIFT, _SIDE // 2 + _MAX_SHIFT + 1)
    return np.asarray((whole / (whole.std() + 1e-9))[middle, middle], np.float16)


def common_shift(correlations: CorrelationMap) -> Shift | None:
    """The peak of the mean of all pairs' correlations (N, 49, 49); None for fewer than 8 pairs.

    The error is estimated by a jackknife over 8 groups.
    """
    if len(correlations) < 8:
        return None
    total = correlations.sum(axis=0, dtype=np.float64)
    parts = [correlations[start::8] for start in range(8)]
    without = [_peak(total - part.sum(axis=0, dtype=np.float64))[:2] for part in parts]
    error = float(np.std(without, axis=0).max() * np.sqrt(7))
    right, down, clarity = _peak(total)
    return Shift(right / _SIDE, down / _SIDE, error / _SIDE, clarity)


def unrelated(correlations: CorrelationMap, common: Shift) -> bool:
    """Whether there are enough pairs, and so little correlation, that their images seem to show different scenes."""
    return int(correlations.any(axis=(1, 2)).sum()) >= 50 and common.clarity < _UNRELATED


def outliers(correlations: CorrelationMap, common: Shift) -> dict[int, Shift]:
    """Pairs, by index, that are clearly shifted against the others, by 3 % of the side or more."""
    row, column = (round(share * _SIDE) + _MAX_SHIFT for share in (common.down, common.right))
    found = {}
    for index, correlation in enumerate(correlations.astype(np.float64)):
        right, down, _ = _peak(correlation)
        height, here = correlation.max(), correlation[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max()
        far = np.hypot(right - common.right * _SIDE, down - common.down * _SIDE) >= 4
        if far and height >= _CLEAR_ALONE and here < height / 2:
            found[index] = Shift(right / _SIDE, down / _SIDE, 1 / _SIDE, float(height))
    return found


def _outlines(image: PixelArray) -> NDArray[np.float32]:
    """Square root of the gradient magnitude (128, 128): the root keeps a few strong edges from dominating."""
    down, right = np.gradient(resized(image, _SIDE).mean(axis=-1, dtype=np.float32) / full_scale(image.dtype))
    lines = np.sqrt(np.hypot(down, right))
    window = np.hanning(_SIDE + 2)[1:-1]  # without it the borders of the images would match
    return np.asarray((lines - lines.mean()) * np.outer(window, window), np.float32)


def _peak(correlation: CorrelationMap) -> tuple[float, float, float]:
    """The peak to the right of the middle and below it, interpolated by parabolas; and its clarity."""
    row, column = np.unravel_index(correlation.argmax(), correlation.shape)
    away = np.ones(correlation.shape, bool)
    rows, columns = (slice(max(at - _PEAK_RADIUS, 0), at + _PEAK_RADIUS + 1) for at in (row, column))
    away[rows, columns] = False
    right = column - _MAX_SHIFT + _vertex(correlation[row, max(column - 1, 0) : column + 2])
    down = row - _MAX_SHIFT + _vertex(correlation[max(row - 1, 0) : row + 2, column])
    return float(right), float(down), float(correlation[row, column] / (correlation[away].std() + 1e-9))


def _vertex(three: CorrelationMap) -> float:
    """Offset of the vertex of the parabola through three values from the middle one; 0 at a border."""
    if len(three) < 3 or three[0] - 2 * three[1] + three[2] == 0:
        return 0.0
    return float((three[0] - three[2]) / (2 * (three[0] - 2 * three[1] + three[2])))
