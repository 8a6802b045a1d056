"""Artifacts that can be measured without a target: inverted luminance and checkerboards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.evaluation.pixels import Pixels
from i2i.images.arrays import BT601

PERIODS = (2, 4, 8)
SMALLEST = 32


def luminance_correlation(image: Pixels, result: Pixels) -> float:
    """Correlation of the luminance of a translation with that of its input: 1 for equal, -1 for the negative.

    CycleGAN and its relatives may learn the negative as well as the image, because the cycle undoes it.

    Args:
        image: the input, (H, W, C).
        result: the output, (H, W, C); luminance is that of BT.601 for colour, else the mean of the channels.

    Returns:
        Pearson's correlation over the pixels; NaN if either luminance is constant.
    """
    a, b = (light - light.mean() for light in (_luminance(image), _luminance(result)))
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def peaks(image: Pixels) -> Values:
    """Peaks of an image's spectrum at the frequencies of a checkerboard.

    A transposed convolution of stride 2 treats odd and even output pixels differently (Odena et al. 2016), and several
    of them repeat a pattern every 2, 4, 8 ... px. Such a pattern has energy only at multiples of 1/2, 1/4, 1/8 of the
    sampling frequency, where the spectrum of a photograph is smooth.

    Args:
        image: (H, W, C) in [0, 255], at least 32 px; it is cropped to a multiple of 8 px.

    Returns:
        (6,): for each of the periods 2, 4 and 8 the logarithm of the mean ratio, over the period's frequencies, of the
        energy to that of neighbouring frequencies; then the excess of energy over that of the neighbours, in squared
        pixel values. The neighbours are those in the same row or the same column of the spectrum, whichever have more
        energy, because edges have much energy on both axes.
    """
    height, width = (side // PERIODS[-1] * PERIODS[-1] for side in image.shape[:2])
    assert min(height, width) >= SMALLEST
    pixels = image[:height, :width]
    # A Hann window, so that the borders of the image aren't edges; it spreads a frequency over three bins.
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) for side in (height, width)))
    spectrum = np.fft.fft2((pixels - pixels.mean((0, 1))) * window[..., None], axes=(0, 1))
    power = (np.abs(spectrum) ** 2).mean(-1) / (window**2).sum()
    power += 1 / 12  # the noise floor: energy of the rounding to integers
    ratios, energies = zip(*(_peak(power, period) for period in PERIODS), strict=True)
    return np.array(ratios + energies)


def checkerboard(means: Values) -> Values:
    """The checkerboard score from mean `peaks`, (..., 6): that of the strongest period.

    Returns:
        The share, 0 to 1, of the energy at that period's frequencies that exceeds their neighbours', (...): 0 for no
        pattern, 1 if all of that energy is the pattern's, however faint.
    """
    share: Values = np.clip(1 - np.exp(-means[..., :3].max(axis=-1)), 0, 1)
    return share


def strength(means: Values) -> Values:
    """Root mean square of the pattern on the scale of 0 to 255, (...), from mean `peaks`, (..., 6)."""
    pixels: Values = np.sqrt(np.clip(means[..., 3:], 0, None).sum(axis=-1))
    return pixels


def artifact_scores(
    luminance: Sequence[float], fakes: Sequence[Values], reals: Sequence[Values], bootstrap: Bootstrap
) -> dict[str, Score]:
    """The scores by name.

    Args:
        luminance: the `luminance_correlation` of each translation.
        fakes: the `peaks` of each translation; empty if images are too small.
        reals: the `peaks` of real images, as the baseline.
        bootstrap: how to resample.
    """
    meaning = "input against output; 1: luminance is kept, below 0: inverted as in a negative"
    scores = {"luminance_correlation": score_of_means("Luminance correlation", luminance, bootstrap, meaning=meaning)}
    meaning = (
        "share of the spectrum at periods of 2, 4 and 8 px that exceeds neighbouring frequencies; 0: no checkerboard "
        "artifacts, 1: a pure pattern, however faint. RMS is its strength, on the scale of 0 to 255"
    )
    for suffix, of, sets in (("", "", fakes), ("_real", ", real images", reals)) if fakes and reals else ():
        shares = np.clip(1 - np.exp(-np.mean(sets, axis=0)[:3]), 0, 1)
        about = {"periods": dict(zip(map(str, PERIODS), shares.tolist(), strict=True))}
        options: dict[str, Any] = {"meaning": "" if suffix else meaning, "about": about}
        scores[f"checkerboard{suffix}"] = score_of_means(
            f"Checkerboard{of}", sets, bootstrap, of_means=checkerboard, **options
        )
        scores[f"checkerboard_rms{suffix}"] = score_of_means(
            f"Checkerboard RMS{of}", sets, bootstrap, of_means=strength
        )
    return scores


def _peak(power: Values, period: int) -> tuple[float, float]:
    height, width = power.shape
    steps = [(j, k) for j in range(period) for k in range(period) if j % 2 or k % 2]  # not of a shorter period
    rows = np.array([j * height // period for j, _ in steps])[:, None]
    columns = np.array([k * width // period for _, k in steps])[:, None]
    bins = np.array([(j, k) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    peak = power[(rows + bins[:, 0]) % height, (columns + bins[:, 1]) % width].mean(axis=1)
    in_row = power[rows, (columns + _neighbours(width)) % width].mean(axis=1)
    in_column = power[(rows + _neighbours(height)) % height, columns].mean(axis=1)
    neighbours = np.maximum(in_row, in_column)
    return float(np.log((peak / neighbours).mean())), float((peak - neighbours).sum()) * len(bins) / (height * width)


def _neighbours(side: int) -> Values:
    """Offsets of neighbouring frequencies: beyond the window's spread, less than half way to the next peak."""
    distances = np.arange(2, max(min(8, side // (2 * PERIODS[-1])), 2) + 1)
    return np.concatenate([-distances, distances])


def _luminance(image: Pixels) -> Pixels:
    channels = image.shape[-1]
    if channels in (2, 4):  # the last is alpha
        return _luminance(image[..., :-1])
    luminance: Pixels = image @ np.array(BT601) if channels == 3 else image.mean(axis=-1)
    return luminance
