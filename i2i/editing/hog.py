"""Histograms of oriented gradients that gradients flow through."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ORIENTATIONS = 8
_EPSILON = 1e-3  # of the gradient's magnitude


def hog(images: Tensor, *, block: int) -> Tensor:
    """The energy of each orientation around each block of pixels.

    Source: Zhu et al. 2016, sec. 4.1, as in its code. Gradients are those of a Sobel filter on the mean of the channels
    in [0, 1]; a pixel's magnitude goes to the two orientations that are nearest to its gradient's; blocks of twice
    their size overlap, weighted by a triangle.

    Args:
        images: (N, C, H, W) in [-1, 1].
        block: height and width of a block, in pixels; an even number.

    Returns:
        (N, 8, H / block, W / block), >= 0.
    """
    grey = (images.mean(1, keepdim=True) + 1) / 2
    across = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    angles = [math.pi / _ORIENTATIONS * index for index in range(_ORIENTATIONS)]
    steered = torch.stack([math.cos(angle) * across + math.sin(angle) * across.T for angle in angles])
    responses = F.conv2d(grey, steered[:, None], padding=1).abs()
    magnitude = F.conv2d(grey, torch.stack([across, across.T])[:, None], padding=1).square().sum(1, keepdim=True)
    share = math.cos(math.pi / _ORIENTATIONS)
    binned = F.relu((responses - share * torch.sqrt(magnitude + _EPSILON)) / (1 - share))
    triangle = 1 - (torch.arange(2 * block, dtype=grey.dtype, device=grey.device) - block + 0.5).abs() / block
    weights = (triangle[:, None] * triangle).expand(_ORIENTATIONS, 1, -1, -1)
    return F.conv2d(binned, weights, stride=block, padding=block // 2, groups=_ORIENTATIONS)


def hog_mask(mask: Tensor, *, block: int) -> Tensor:
    """The blocks (N, 1, H / block, W / block) that see something of a mask (N, 1, H, W), as 0 or 1."""
    return (F.max_pool2d(mask, 2 * block, stride=block, padding=block // 2) > 0).to(mask)
