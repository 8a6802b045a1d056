"""Multi-scale structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.errors import UsageError, setting
from i2i.evaluation.pixels import Pixels
from i2i.evaluation.scores.base import Outputs, PairedScore, extra_paired_scores
from i2i.optional import metrics_module

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, sec. 3.2
_WINDOW = 11
_MINIMUM_SIZES = (11, 21, 44, 99, 176)  # in pixels, for one scale, two, ...


def ms_ssim(result: Pixels, target: Pixels) -> float:
    """Multi-scale structural similarity, 0 to 1, with a Gaussian window of 11 px, sigma 1.5, of (H, W, C).

    Source: Wang et al. 2003, eq. 7, as torchmetrics computes it. The five scales need 176 px; smaller images get
    fewer, whose weights are normalised to sum to one: see `scales`.
    """
    weights = np.array(_WEIGHTS[: scales(*result.shape[:2])])
    similarity = _torchmetrics().multiscale_structural_similarity_index_measure
    options = {"data_range": 255.0, "kernel_size": _WINDOW, "betas": tuple((weights / weights.sum()).tolist())}
    return float(similarity(_batch(result), _batch(target), **options))


def scales(height: int, width: int) -> int:
    """The number of scales, 0 to 5, that torchmetrics accepts for an image of this size."""
    return sum(min(height, width) >= minimum for minimum in _MINIMUM_SIZES)


@extra_paired_scores.register("ms_ssim")
def _ms_ssim(outputs: Outputs) -> PairedScore:
    count = scales(outputs.size, outputs.size)
    if not count:
        raise UsageError(
            f"MS-SSIM needs images of at least {_WINDOW} px, and this model's have {outputs.size}: leave out "
            f"{setting('ms_ssim')}"
        )
    _torchmetrics()
    about = {"window": "Gaussian, 11 px, sigma 1.5", "scales": count}
    return PairedScore(ms_ssim, f"MS-SSIM, {count} scale{'s'[: count > 1]}", "higher", about)


def _torchmetrics() -> Any:
    return metrics_module("torchmetrics.functional.image", needed_by="MS-SSIM", requested_by="ms_ssim")


def _batch(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float()
