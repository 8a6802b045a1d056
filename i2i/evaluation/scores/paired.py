"""L1, PSNR and SSIM of a translation against its target."""

from __future__ import annotations

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from i2i.evaluation.pixels import Pixels
from i2i.evaluation.scores.base import Outputs, PairedScore, paired_scores

_WINDOW = 7


def l1(result: Pixels, target: Pixels) -> float:
    """Mean absolute difference over all pixels and channels of (H, W, C) in [0, 255]."""
    return float(np.abs(result - target).mean())


def psnr(result: Pixels, target: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / mean squared error), of (H, W, C); at most 100."""
    if np.array_equal(result, target):
        return 100.0
    return min(float(peak_signal_noise_ratio(target, result, data_range=255)), 100.0)


def ssim(result: Pixels, target: Pixels) -> float:
    """Structural similarity, at most 1, with a uniform window of 7 px, averaged over the channels of (H, W, C).

    Source: Wang et al. 2004, eq. 13, as scikit-image computes it.
    """
    return float(structural_similarity(target, result, data_range=255, channel_axis=-1, win_size=_WINDOW))


@paired_scores.register("l1")
def _l1(_: Outputs) -> PairedScore:
    return PairedScore(l1, "L1 (0 to 255)", "lower")


@paired_scores.register("psnr")
def _psnr(_: Outputs) -> PairedScore:
    return PairedScore(psnr, "PSNR (dB)", "higher")


@paired_scores.register("ssim")
def _ssim(outputs: Outputs) -> PairedScore | None:
    return PairedScore(ssim, "SSIM", "higher", {"window": "uniform, 7 px"}) if outputs.size >= _WINDOW else None
