"""LPIPS: a perceptual distance in the features of AlexNet, weighted by human judgement (Zhang et al. 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from i2i.errors import setting
from i2i.evaluation.pixels import Pixels, check_grey_or_colour
from i2i.evaluation.scores.base import Outputs, PairedScore, extra_paired_scores
from i2i.files import sha256_of
from i2i.optional import fetch_weights, metrics_module


class Lpips:
    """Zhang et al. 2018, eq. 1, version 0.1 with AlexNet, as torchmetrics computes it; nothing is resized.

    Attributes:
        sha256: hash of the file of AlexNet's weights.

    Raises:
        UsageError: torchmetrics isn't installed, or AlexNet's weights can't be downloaded.
    """

    def __init__(self, device: torch.device) -> None:
        module: Any = metrics_module("torchmetrics.image.lpip", needed_by="LPIPS", requested_by="lpips")
        self.sha256 = _fetch_alexnet()
        self._device = device
        self._metric = module.LearnedPerceptualImagePatchSimilarity(net_type="alex").to(device)

    def __call__(self, result: Pixels, target: Pixels) -> float:
        """The distance, at least 0, of two images (H, W, C) in [0, 255]; C is 3, or 1 for grey."""
        with torch.no_grad():
            value = float(self._metric(self._tensor(result), self._tensor(target)))
        self._metric.reset()
        return value

    def _tensor(self, pixels: Pixels) -> Tensor:
        values = torch.from_numpy(pixels.transpose(2, 0, 1) / 127.5 - 1).float()
        return values.expand(3, -1, -1)[None].to(self._device)


@extra_paired_scores.register("lpips")
def _lpips(outputs: Outputs) -> PairedScore:
    check_grey_or_colour(outputs.channels, requested_by="lpips")
    lpips = Lpips(outputs.device)
    about = {"network": "AlexNet, version 0.1", "weights_sha256": lpips.sha256}
    return PairedScore(lpips, "LPIPS (AlexNet)", "lower", about)


def _fetch_alexnet() -> str:
    """Download AlexNet's weights to where torchvision looks for them, and return their hash.

    They are loaded here with `weights_only`, because torchmetrics loads them without it.
    """
    from torchvision.models import AlexNet_Weights

    weights = AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    fetch_weights(
        lambda: weights.get_state_dict(map_location="cpu", check_hash=True, weights_only=True),
        needed="LPIPS needs torchvision's weights of AlexNet (233 MB)",
        advice=f"put them at {file}, or leave out {setting('lpips')}",
    )
    return sha256_of(file)
