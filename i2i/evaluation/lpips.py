"""How differently a network sees two images, weighted as people judge (Zhang et al. 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from i2i.evaluation.optional import extra, fetched
from i2i.evaluation.pixels import Pixels


class Lpips:
    """Zhang et al. 2018, eq. 1, version 0.1 with AlexNet, as torchmetrics computes it; nothing is resized.

    Attributes:
        sha256: the sum of the file of AlexNet's weights.

    Raises:
        UsageError: torchmetrics isn't installed, or AlexNet's weights aren't there and can't be fetched.
    """

    def __init__(self, device: torch.device) -> None:
        module: Any = extra("torchmetrics.image.lpip", of="LPIPS", flag="--lpips")
        self.sha256 = _fetch()
        self._device = device
        self._metric = module.LearnedPerceptualImagePatchSimilarity(net_type="alex").to(device)

    def __call__(self, result: Pixels, target: Pixels) -> float:
        """The distance of two images (H, W, C) in [0, 255], at least 0; C is 3, or 1 for grey."""
        with torch.no_grad():
            value = float(self._metric(self._tensor(result), self._tensor(target)))
        self._metric.reset()
        return value

    def _tensor(self, pixels: Pixels) -> Tensor:
        values = torch.from_numpy(pixels.transpose(2, 0, 1) / 127.5 - 1).float()
        return values.expand(3, -1, -1)[None].to(self._device)


def _fetch() -> str:
    """Have AlexNet's weights where torchvision looks for them, and give their sum.

    They are read here with `weights_only`, so that torchmetrics, which reads them without it, meets tensors alone.
    """
    from torchvision.models import AlexNet_Weights

    weights = AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    return fetched(
        lambda: weights.get_state_dict(map_location="cpu", check_hash=True, weights_only=True),
        file,
        needs="LPIPS needs torchvision's weights of AlexNet (233 MB)",
        advice=f"put them at {file}, or leave out --lpips",
    )
