"""Reconstruction losses: distance between a generated image and its target."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in units of the images' range ([-1, 1]: 2 is black against white).

    Source: Isola et al. 2017, eq. 3; Zhu et al. 2017, eq. 2.
    """
    return F.l1_loss(image.float(), target.float())
