"""Scores of a translation beside the image that it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from i2i.errors import UsageError
from i2i.evaluation.bootstrap import Better
from i2i.evaluation.lpips import Lpips
from i2i.evaluation.optional import extra
from i2i.evaluation.pixels import Pixels

_WINDOW = 7
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, sec. 3.2
_KERNEL = 11
_PLACE = (11, 21, 44, 99, 176)  # pixels that each number of scales takes


class PairScore(NamedTuple):
    """A score of pairs, with its label, which way is better, and what else it depends on."""

    of: Callable[[Pixels, Pixels], float]
    label: str
    better: Better
    about: Mapping[str, Any]


def pair_scores(size: int, device: torch.device, *, with_ms_ssim: bool, with_lpips: bool) -> dict[str, PairScore]:
    """The scores of pairs at a size, by their short names.

    Raises:
        UsageError: one needs a library or weights that aren't there, or larger images.
    """
    found = {
        "l1": PairScore(l1, "L1, in levels of 255", "lower", {}),
        "psnr": PairScore(psnr, "PSNR, in dB", "higher", {}),
    }
    if size >= _WINDOW:
        found["ssim"] = PairScore(ssim, "SSIM", "higher", {"window": "uniform, 7 px"})
    if with_ms_ssim:
        count = scales(size, size)
        if not count:
            raise UsageError(f"MS-SSIM needs images of {_KERNEL} px, and this model's have {size}: leave out --ms-ssim")
        extra("torchmetrics.functional.image", of="MS-SSIM", flag="--ms-ssim")
        about = {"window": "Gaussian, 11 px, sigma 1.5", "scales": count}
        found["ms_ssim"] = PairScore(ms_ssim, f"MS-SSIM, {count} scale{'s'[: count > 1]}", "higher", about)
    if with_lpips:
        lpips = Lpips(device)
        about = {"network": "AlexNet, version 0.1", "weights_sha256": lpips.sha256}
        found["lpips"] = PairScore(lpips, "LPIPS (AlexNet)", "lower", about)
    return found


def l1(result: Pixels, target: Pixels) -> float:
    """Mean absolute difference, in levels of 255, over all pixels and channels of (H, W, C) in [0, 255]."""
    return float(np.abs(result - target).mean())


def psnr(result: Pixels, target: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255^2 / mean squared difference), of (H, W, C); at most 100."""
    if np.array_equal(result, target):
        return 100.0
    return min(float(peak_signal_noise_ratio(target, result, data_range=255)), 100.0)


def ssim(result: Pixels, target: Pixels) -> float:
    """Structural similarity, at most 1, with a uniform window of 7 px, its mean over the channels of (H, W, C).

    Source: Wang et al. 2004, eq. 13, as scikit-image computes it.
    """
    return float(structural_similarity(target, result, data_range=255, channel_axis=-1, win_size=_WINDOW))


def ms_ssim(result: Pixels, target: Pixels) -> float:
    """Multi-scale structural similarity, 0 to 1, with a Gaussian window of 11 px, sigma 1.5, of (H, W, C).

    Source: Wang et al. 2003, eq. 7, as torchmetrics computes it. An image that is too small for the five scales, which
    take 176 px, has as many as it holds, with their weights made to sum to one: see `scales`.
    """
    weights = np.array(_WEIGHTS[: scales(*result.shape[:2])])
    metrics: Any = extra("torchmetrics.functional.image", of="MS-SSIM", flag="--ms-ssim")
    similarity = metrics.multiscale_structural_similarity_index_measure
    options = {"data_range": 255.0, "kernel_size": _KERNEL, "betas": tuple((weights / weights.sum()).tolist())}
    return float(similarity(_batch(result), _batch(target), **options))


def scales(height: int, width: int) -> int:
    """The scales of MS-SSIM that an image has place for, 0 to 5, in torchmetrics' count."""
    return sum(min(height, width) >= least for least in _PLACE)


def _batch(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float()
