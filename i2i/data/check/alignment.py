"""Whether the two images of a pair lie on each other: shifts found by phase correlation of their outlines."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.data.transforms import resized
from i2i.images.decoded import PixelArray, full_scale

CorrelationMap: TypeAlias = NDArray[Any]

_SIDE = 128  # images are compared at this height and width
_REACH = 24  # the largest shift looked for, of those pixels
_PEAK = 10  # how far a peak lies from others, of those pixels
_CLEAR = 10.0
_UNRELATED = 7.0  # images of different scenes stay below 6.5, however many; 100 true pairs lie above 20
_CLEAR_ALONE = 14.0  # single pairs of real sets reach 10 by chance, as facades repeat themselves


class Shift(NamedTuple):
    """How far b lies to the right of a, and below it.

    Attributes:
        right: share of the width.
        down: share of the height.
        error: standard error of either.
        clarity: height of the peak over the spread of the surface around it.
    """

    right: float
    down: float
    error: float
    clarity: float

    @property
    def clear(self) -> bool:
        """Whether the peak stands out."""
        return self.clarity >= _CLEAR


def correlate(a: PixelArray, b: PixelArray) -> CorrelationMap:
    """How well the outlines of two images (H, W, C) agree at each shift.

    Source: phase correlation, Kuglin and Hines 1975, of gradient magnitudes, so that a drawing and a photo can agree.
    Fine detail is left out: there JPEG's blocks of 8 pixels would agree.

    Returns:
        (49, 49) float16, no shift in the middle, in units of its spread over all shifts; 0 where an image is flat.
    """
    spectrum = np.conj(np.fft.rfft2(_outlines(a))) * np.fft.rfft2(_outlines(b))
    size = np.abs(spectrum)
    down, right = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)
    coarse = np.exp(-(down**2 + right**2) / (2 * 0.1**2))
    coarse[0, 0] = 0
    whole = np.fft.fftshift(np.fft.irfft2(spectrum / (size + 1e-6 * size.max() + 1e-9) * coarse, (_SIDE, _SIDE)))
    middle = slice(_SIDE // 2 - _REACH, _SIDE // 2 + _REACH + 1)
    return np.asarray((whole / (whole.std() + 1e-9))[middle, middle], np.float16)


def common_shift(surfaces: CorrelationMap) -> Shift | None:
    """Where the mean surface of a set, from those of its pairs (N, 49, 49), is highest; None of fewer than 8 pairs.

    The mean surface is that of the mean cross-power spectrum. The error is a jackknife's over 8 groups.
    """
    if len(surfaces) < 8:
        return None
    total = surfaces.sum(axis=0, dtype=np.float64)
    parts = [surfaces[start::8] for start in range(8)]
    without = [_peak(total - part.sum(axis=0, dtype=np.float64))[:2] for part in parts]
    error = float(np.std(without, axis=0).max() * np.sqrt(7))
    right, down, clarity = _peak(total)
    return Shift(right / _SIDE, down / _SIDE, error / _SIDE, clarity)


def unrelated(surfaces: CorrelationMap, common: Shift) -> bool:
    """Whether so many pairs agree so little that their images seem to be of different scenes."""
    return int(surfaces.any(axis=(1, 2)).sum()) >= 50 and common.clarity < _UNRELATED


def outliers(surfaces: CorrelationMap, common: Shift) -> dict[int, Shift]:
    """Pairs that are shifted against the rest by 3 % of the side and more, by their places; only clear ones."""
    row, column = (round(share * _SIDE) + _REACH for share in (common.down, common.right))
    found = {}
    for index, surface in enumerate(surfaces.astype(np.float64)):
        right, down, _ = _peak(surface)
        height, here = surface.max(), surface[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max()
        far = np.hypot(right - common.right * _SIDE, down - common.down * _SIDE) >= 4
        if far and height >= _CLEAR_ALONE and here < height / 2:
            found[index] = Shift(right / _SIDE, down / _SIDE, 1 / _SIDE, float(height))
    return found


def _outlines(image: PixelArray) -> NDArray[np.float32]:
    """The gradient's magnitude (128, 128), its root taken so that few strong edges don't outweigh all others."""
    down, right = np.gradient(resized(image, _SIDE).mean(axis=-1, dtype=np.float32) / full_scale(image.dtype))
    lines = np.sqrt(np.hypot(down, right))
    window = np.hanning(_SIDE + 2)[1:-1]  # without it the edges of the images would agree
    return np.asarray((lines - lines.mean()) * np.outer(window, window), np.float32)


def _peak(surface: CorrelationMap) -> tuple[float, float, float]:
    """Where a surface is highest, right and down of its middle, between pixels by parabolas; and how clearly so."""
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    away = np.ones(surface.shape, bool)
    away[max(row - _PEAK, 0) : row + _PEAK + 1, max(column - _PEAK, 0) : column + _PEAK + 1] = False
    right = column - _REACH + _vertex(surface[row, max(column - 1, 0) : column + 2])
    down = row - _REACH + _vertex(surface[max(row - 1, 0) : row + 2, column])
    return float(right), float(down), float(surface[row, column] / (surface[away].std() + 1e-9))


def _vertex(three: CorrelationMap) -> float:
    """Where the parabola through three heights is highest, from the middle one; 0 at an edge."""
    if len(three) < 3 or three[0] - 2 * three[1] + three[2] == 0:
        return 0.0
    return float((three[0] - three[2]) / (2 * (three[0] - 2 * three[1] + three[2])))
