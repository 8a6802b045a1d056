"""Penalties: on the discriminator's gradient, and on weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from i2i.distributed import local_shard, world_size
from i2i.networks.base import Logits


def gradient_penalty(discriminator: Callable[[Tensor], Logits], real: Tensor, fake: Tensor) -> Tensor:
    """How far the norm of the discriminator's gradient is from 1 between real and generated images.

    Source: Gulrajani et al. 2017, eq. 3, without its weight (10 there).

    Args:
        discriminator: returns logits; those of several scales are added.
        real: (N, C, H, W).
        fake: the same shape; no gradient flows back into it.

    Returns:
        E (||grad|| - 1)^2 at points drawn uniformly between real and fake, a scalar >= 0.
    """
    drawn = local_shard(torch.rand(world_size() * len(real), *[1] * (real.dim() - 1))).to(real.device)
    between = drawn * _precise(real) + (1 - drawn) * _precise(fake)
    gradient = _input_gradient(discriminator, between)
    penalty: Tensor = (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()
    return penalty


def r1_penalty(discriminator: Callable[[Tensor], Logits], real: Tensor) -> Tensor:
    """The squared norm of the discriminator's gradient at real images.

    Source: Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9, without its weight.

    Args:
        discriminator: returns logits; those of several scales are added.
        real: (N, C, H, W).

    Returns:
        1/2 E ||grad||^2, a scalar >= 0.
    """
    gradient = _input_gradient(discriminator, _precise(real))
    return gradient.square().flatten(1).sum(1).mean() / 2


def orthogonal_penalty(network: nn.Module) -> Tensor:
    """How far the filters of a network's convolutions are from orthogonal.

    Source: Brock et al. 2016, sec. 3.4, as in its code, without its weight: the rows of each filter, over its channels
    and columns.

    Returns:
        The sum of |W W^T - I| over all weights of four dimensions, a scalar >= 0.
    """
    distances = []
    for weight in network.parameters():
        if weight.dim() == 4:
            with torch.autocast(weight.device.type, enabled=False):
                rows = weight.transpose(1, 2).flatten(2)  # (filters, rows, channels * columns)
                identity = torch.eye(rows.shape[1], dtype=weight.dtype, device=weight.device)
                distances.append((rows @ rows.transpose(1, 2) - identity).abs().sum())
    return torch.stack(distances).sum()


def _precise(images: Tensor) -> Tensor:
    images = images.detach()
    return images if images.dtype == torch.double else images.float()


def _input_gradient(discriminator: Callable[[Tensor], Logits], images: Tensor) -> Tensor:
    """The gradient of each image's mean logit at its pixels, without autocast.

    A second derivative of norms in float16 is NaN, and gradient scaling then skips every step of the discriminator.
    """
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        logits = discriminator(images)
        scales = [logits] if isinstance(logits, Tensor) else logits
        total = sum(scale.float().reshape(len(images), -1).mean(1) for scale in scales)
        assert isinstance(total, Tensor)
        (gradient,) = torch.autograd.grad(total.sum(), images, create_graph=True)
    return gradient


class HistoricalAverage(nn.Module):
    """The squared distance of a network's weights from their mean over the steps so far.

    Source: Salimans et al. 2016, sec. 3.3, without its weight. The mean is part of a checkpoint.
    """

    steps: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._weights = list(network.parameters())  # in a list, so that they don't become parameters of this module
        for index, weight in enumerate(self._weights):
            self.register_buffer(str(index), weight.detach().clone())
        self.register_buffer("steps", torch.tensor(0))

    def forward(self) -> Tensor:
        """The squared distance, a scalar >= 0; 0 before the first `update`."""
        means = self._means()
        away = torch.stack([(w.float() - m).square().sum() for w, m in zip(self._weights, means, strict=True)]).sum()
        return away * (self.steps > 0)

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the mean."""
        self.steps += 1
        for weight, mean in zip(self._weights, self._means(), strict=True):
            mean.lerp_(weight.detach(), 1 / float(self.steps))

    def _means(self) -> list[Tensor]:
        return [self.get_buffer(str(index)) for index in range(len(self._weights))]
