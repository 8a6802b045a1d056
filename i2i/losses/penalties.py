"""Penalties on the discriminator's gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from i2i.losses.adversarial import Logits


def gradient_penalty(discriminator: Callable[[Tensor], Logits], real: Tensor, fake: Tensor) -> Tensor:
    """How far the discriminator's slope is from 1 between real and generated images.

    Source: Gulrajani et al. 2017, eq. 3, without its weight (10 there).

    Args:
        discriminator: gives logits; several scales are added up.
        real: (N, C, H, W).
        fake: the same shape; no gradient flows back into it.

    Returns:
        E (||grad|| - 1)^2 at points drawn evenly between the two, a scalar >= 0.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = (share * real.detach().float() + (1 - share) * fake.detach().float()).requires_grad_()
    logits = discriminator(between)
    scales = [logits] if isinstance(logits, Tensor) else logits
    total = sum(one.float().reshape(len(between), -1).mean(1) for one in scales)
    assert isinstance(total, Tensor)
    (slope,) = torch.autograd.grad(total.sum(), between, create_graph=True)
    penalty: Tensor = (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square().mean()
    return penalty
