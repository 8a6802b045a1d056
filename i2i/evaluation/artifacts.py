"""What generators do wrong, found without a target: colours turned round, and checkerboards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.evaluation.pixels import Pixels

PERIODS = (2, 4, 8)
SMALLEST = 32
_BT601 = (0.299, 0.587, 0.114)


def luminance_correlation(image: Pixels, result: Pixels) -> float:
    """How the lightness of a translation follows that of its input: 1 exactly, 0 not at all, -1 for the negative.

    CycleGAN and its like are as content with the negative of an image as with the image, as the cycle undoes it.

    Args:
        image: the input, (H, W, C).
        result: the output, (H, W, C) of any number of channels; lightness is BT.601's of colour, else their mean.

    Returns:
        Pearson's correlation over the pixels; not a number where one of the two is of one lightness throughout.
    """
    one, two = (light - light.mean() for light in (_luminance(image), _luminance(result)))
    scale = np.sqrt((one**2).sum() * (two**2).sum())
    return float((one * two).sum() / scale) if scale > 0 else float("nan")


def peaks(image: Pixels) -> Values:
    """How far the spectrum of an image stands out at the frequencies of a checkerboard.

    A transposed convolution of stride 2 treats its odd and its even output pixels differently (Odena et al. 2016), and
    a row of them repeats a pattern every 2, 4, 8 ... px. Such a pattern has energy at multiples of 1/2, 1/4, 1/8 of the
    sampling frequency alone, where the spectrum of a photograph is smooth.

    Args:
        image: (H, W, C) in levels of 255, 32 px and more; what goes beyond a multiple of 8 px is left out.

    Returns:
        (6,): for each of the periods 2, 4 and 8 the logarithm of the mean, over its frequencies in rows and columns, of
        the energy there over that of the neighbourhood; then the energy beyond that of the neighbourhood, in squared
        levels. The neighbourhood is the row or the column of the spectrum through a frequency, whichever is louder,
        because edges make both axes loud.
    """
    height, width = (side // PERIODS[-1] * PERIODS[-1] for side in image.shape[:2])
    assert min(height, width) >= SMALLEST
    pixels = image[:height, :width]
    # A Hann window, so that the image's borders are no edges; it spreads a frequency over three places.
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) for side in (height, width)))
    spectrum = np.fft.fft2((pixels - pixels.mean((0, 1))) * window[..., None], axes=(0, 1))
    power = (np.abs(spectrum) ** 2).mean(-1) / (window**2).sum()
    power += 1 / 12  # what rounding to levels adds, below which nothing counts
    ratios, energies = zip(*(_stands_out(power, period) for period in PERIODS), strict=True)
    return np.array(ratios + energies)


def checkerboard(means: Values) -> Values:
    """The checkerboard score of images' mean `peaks`, (..., 6): that of the period that stands out most.

    Returns:
        The share, 0 to 1, of the energy at that period's frequencies that their neighbourhood doesn't explain, (...):
        0 for no pattern, 1 for nothing but the pattern, however faint.
    """
    share: Values = np.clip(1 - np.exp(-means[..., :3].max(axis=-1)), 0, 1)
    return share


def strength(means: Values) -> Values:
    """How strong the pattern is, of mean `peaks` (..., 6): its root mean square in levels of 255, (...)."""
    pixels: Values = np.sqrt(np.clip(means[..., 3:], 0, None).sum(axis=-1))
    return pixels


def artefact_scores(
    luminance: Sequence[float], fakes: Sequence[Values], reals: Sequence[Values], bootstrap: Bootstrap
) -> dict[str, Score]:
    """The scores by their short names.

    Args:
        luminance: each translation's `luminance_correlation`.
        fakes: each translation's `peaks`; none where images are too small.
        reals: those of real images, which say how much is none.
        bootstrap: how to resample.
    """
    note = "of input and output; 1: lightness is kept, below 0: light has become dark, as in a negative"
    scores = {"luminance_correlation": score_of_means("luminance correlation", luminance, bootstrap, meaning=note)}
    note = (
        "what of the spectrum at periods of 2, 4 and 8 px stands out from around them; 0: nothing, 1: a pattern alone, "
        "however faint. RMS is how strong it is, in levels of 255"
    )
    for end, whose, sets in (("", "", fakes), ("_real", ", real images", reals)) if fakes and reals else ():
        shares = np.clip(1 - np.exp(-np.mean(sets, axis=0)[:3]), 0, 1)
        about = {"periods": dict(zip(map(str, PERIODS), shares.tolist(), strict=True))}
        options: dict[str, Any] = {"meaning": "" if end else note, "about": about}
        scores[f"checkerboard{end}"] = score_of_means(
            f"checkerboard{whose}", sets, bootstrap, of_means=checkerboard, **options
        )
        scores[f"checkerboard_rms{end}"] = score_of_means(
            f"checkerboard, RMS{whose}", sets, bootstrap, of_means=strength
        )
    return scores


def _stands_out(power: Values, period: int) -> tuple[float, float]:
    height, width = power.shape
    steps = [(j, k) for j in range(period) for k in range(period) if j % 2 or k % 2]  # those of no shorter period
    rows = np.array([j * height // period for j, _ in steps])[:, None]
    columns = np.array([k * width // period for _, k in steps])[:, None]
    near = np.array([(j, k) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    peak = power[(rows + near[:, 0]) % height, (columns + near[:, 1]) % width].mean(axis=1)
    along = power[rows, (columns + _around(width)) % width].mean(axis=1)
    across = power[(rows + _around(height)) % height, columns].mean(axis=1)
    around = np.maximum(along, across)
    return float(np.log((peak / around).mean())), float((peak - around).sum()) * len(near) / (height * width)


def _around(side: int) -> Values:
    """The distances of neighbours, from where the window no longer reaches to less than half way to the next peak."""
    far = np.arange(2, max(min(8, side // (2 * PERIODS[-1])), 2) + 1)
    return np.concatenate([-far, far])


def _luminance(image: Pixels) -> Pixels:
    channels = image.shape[-1]
    if channels in (2, 4):  # the last is alpha
        return _luminance(image[..., :-1])
    luminance: Pixels = image @ np.array(_BT601) if channels == 3 else image.mean(axis=-1)
    return luminance
