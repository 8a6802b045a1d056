"""Distances between distributions of latents."""

from __future__ import annotations

import torch
from torch import Tensor


def standard_normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, variance) from N(0, 1), in nats a sample.

    Source: Kingma and Welling 2014, appendix B.

    Args:
        mean: (N, Z).
        log_variance: (N, Z).

    Returns:
        The sum over Z, averaged over N: a scalar >= 0.
    """
    return -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp(), dim=1).mean()
