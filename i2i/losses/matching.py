"""Feature matching: distances between a discriminator's activations on generated and on real images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from i2i.distributed import all_reduce_sum, world_size
from i2i.losses.reconstruction import l1


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Absolute difference of each generated image's activations from its partner's, 4 times the mean over layers.

    Source: Wang et al. 2018, eq. 4, as in its code, where a layer of one of S discriminators weighs 4 / layers / S:
    a sum over a PatchGAN's four layers, and a mean over the scales, which eq. 5 adds up instead.

    Args:
        fake: activations of each layer on generated images, (N, ...) each, scale after scale.
        real: activations on their real partners; no gradient flows here.
    """
    return 4 * torch.stack([l1(f, r.detach()) for f, r in zip(fake, real, strict=True)]).mean()


def mean_feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Squared difference of the batches' mean activations, the mean over units and layers; for images without partners.

    Source: Salimans et al. 2016, sec. 3.1. Activations (N, C, H, W) are averaged over positions too.
    """
    pairs = zip(fake, real, strict=True)
    return torch.stack([(_unit_means(f) - _unit_means(r.detach())).square().mean() for f, r in pairs]).mean()


def _unit_means(activations: Tensor) -> Tensor:
    # Over the batches of all ranks.
    precise = activations if activations.dtype == torch.double else activations.float()
    mean = precise.mean([axis for axis in range(activations.dim()) if axis != 1])
    return mean if world_size() == 1 else all_reduce_sum(mean) / world_size()
