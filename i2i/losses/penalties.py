"""Penalties on a player: on the discriminator's gradient, and on weights that wander."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from i2i.distributed import local_shard, world_size
from i2i.networks.base import Logits


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
    drawn = local_shard(torch.rand(world_size() * len(real), *[1] * (real.dim() - 1))).to(real.device)
    one, other = _precise(real), _precise(fake)
    slope = _slope(discriminator, drawn * one + (1 - drawn) * other)
    penalty: Tensor = (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square().mean()
    return penalty


def r1_penalty(discriminator: Callable[[Tensor], Logits], real: Tensor) -> Tensor:
    """How steep the discriminator is at real images.

    Source: Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9, without its weight.

    Args:
        discriminator: gives logits; several scales are added up.
        real: (N, C, H, W).

    Returns:
        1/2 E ||grad||^2, a scalar >= 0.
    """
    slope = _slope(discriminator, _precise(real))
    return slope.square().flatten(1).sum(1).mean() / 2


def _precise(images: Tensor) -> Tensor:
    images = images.detach()
    return images if images.dtype == torch.double else images.float()


def _slope(discriminator: Callable[[Tensor], Logits], images: Tensor) -> Tensor:
    """The gradient of each image's mean logit at its pixels, without autocast.

    A second derivative of norms in float16 gives NaN, and gradient scaling then skips every step of the discriminator.
    """
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        logits = discriminator(images)
        scales = [logits] if isinstance(logits, Tensor) else logits
        total = sum(one.float().reshape(len(images), -1).mean(1) for one in scales)
        assert isinstance(total, Tensor)
        (slope,) = torch.autograd.grad(total.sum(), images, create_graph=True)
    return slope


class HistoricalAverage(nn.Module):
    """How far a network's weights are from their mean over the steps so far.

    Source: Salimans et al. 2016, sec. 3.3, without its weight. The mean is part of the state of a run.
    """

    steps: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._weights = list(network.parameters())  # in a list, so that they aren't this module's own
        for index, weight in enumerate(self._weights):
            self.register_buffer(str(index), weight.detach().clone())
        self.register_buffer("steps", torch.tensor(0))

    def forward(self) -> Tensor:
        """Squared distance of the weights from their mean, a scalar >= 0; 0 before the first `update`."""
        means = self._means()
        away = torch.stack([(w.float() - m).square().sum() for w, m in zip(self._weights, means, strict=True)]).sum()
        return away * (self.steps > 0)

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are into the mean."""
        self.steps += 1
        for weight, mean in zip(self._weights, self._means(), strict=True):
            mean.lerp_(weight.detach(), 1 / float(self.steps))

    def _means(self) -> list[Tensor]:
        return [self.get_buffer(str(index)) for index in range(len(self._weights))]
