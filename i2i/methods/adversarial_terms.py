"""The terms that all methods share: the adversarial loss of both players, gradient penalties and feature matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from i2i.errors import UsageError
from i2i.losses import (
    AdversarialLoss,
    Kind,
    feature_matching,
    gradient_penalty,
    mean_feature_matching,
    r1_penalty,
)
from i2i.methods.diffaugment import Change, DiffAugment
from i2i.methods.terms import Losses
from i2i.networks import Discriminator, Logits


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of the terms that all methods share."""

    adversarial: Kind = "non_saturating"
    """The adversarial loss."""
    real_label: float = 1.0
    """Discriminator target for real images; 0.9 is one-sided label smoothing."""
    gradient_penalty: float = 0.0
    """Weight of the gradient penalty: 10 for wasserstein, with a discriminator without batch norm."""
    r1: float = 0.0
    """Weight of the R1 penalty on the discriminator's gradient at real images: 1 to 10."""
    diffaugment: tuple[Change, ...] = ()
    """DiffAugment: random augmentations of all images that the discriminator sees, for small data sets."""
    feature_matching: float = 0.0
    """Weight of feature matching: fakes should have the discriminator features of real images."""
    adversarial_weight: float = 1.0
    """Weight of the generator's adversarial term; 0 drops it (with --feature-matching 1: Salimans et al. 2016)."""


class AdversarialTerms:
    """The terms of a discriminator and of a generator, given the discriminator and the images that it sees.

    Attributes:
        loss: the adversarial loss of both players.
        augment: DiffAugment of all images that a discriminator sees.

    Raises:
        UsageError: the adversarial loss has no such label.
    """

    def __init__(self, config: AdversarialConfig) -> None:
        self.config = config
        try:
            self.loss = AdversarialLoss(config.adversarial, real_label=config.real_label)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self.augment = DiffAugment(config.diffaugment)

    def discriminator(
        self,
        discriminator: Discriminator,
        *,
        real: Tensor,
        fake: Tensor,
        condition: Tensor | None = None,
        weight: float = 0.5,
        domain: str = "",
    ) -> Losses:
        """The terms of a discriminator: adversarial, and the gradient penalties that are set.

        Args:
            discriminator: the network that the terms update.
            real: (N, C, H, W) in [-1, 1].
            fake: the same shape; no gradient flows back into it.
            condition: channels that the discriminator sees before those of each image, (N, K, H, W).
            weight: of all terms; one half unless given, as in the papers.
            domain: suffix of the terms' names.
        """

        def logits(images: Tensor) -> Logits:
            drawn = self.augment.draw(len(images), images.device)
            output: Logits = discriminator(self.augmented(images, condition, drawn))
            return output

        ending = f"_{domain}" if domain else ""
        loss = self.loss.discriminator(logits(real), logits(fake.detach()))
        penalties = self.gradient_penalties(logits, real=real, fake=fake)
        losses = {"adversarial": loss, **penalties}
        return Losses({f"{name}{ending}": weight * term for name, term in losses.items()})

    def gradient_penalties(
        self, discriminator: Callable[[Tensor], Logits], *, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """The weighted penalties on the discriminator's gradient that are set.

        Args:
            discriminator: gives logits.
            real: (N, C, H, W) in [-1, 1].
            fake: the same shape; no gradient flows back into it.
        """
        penalties = {}
        if self.config.gradient_penalty:
            penalties["gradient_penalty"] = self.config.gradient_penalty * gradient_penalty(discriminator, real, fake)
        if self.config.r1:
            penalties["r1"] = self.config.r1 * r1_penalty(discriminator, real)
        return penalties

    def generator(
        self,
        discriminator: Discriminator,
        *,
        real: Tensor,
        fake: Tensor,
        condition: Tensor | None = None,
        paired_features: bool = False,
        domain: str = "",
    ) -> Losses:
        """The terms of a generator: adversarial, and feature matching where it is set.

        With `adversarial_weight` 0 feature matching is the generator's only term (Salimans et al. 2016, sec. 3.1).

        Args:
            discriminator: sees the images.
            real: (N, C, H, W) in [-1, 1].
            fake: the same shape.
            condition: channels that the discriminator sees before those of each image, (N, K, H, W).
            paired_features: match the features of each fake with those of its own target, and not their means.
            domain: suffix of the terms' names.

        Returns:
            The terms, with `fake_accuracy` as a metric.
        """
        ending = f"_{domain}" if domain else ""
        losses = Losses()
        drawn = self.augment.draw(len(fake), fake.device)  # the same for a fake and its target
        if self.config.feature_matching:
            logits, features = discriminator.forward_with_features(self.augmented(fake, condition, drawn))
            with torch.no_grad():
                _, target = discriminator.forward_with_features(self.augmented(real, condition, drawn))
            match = feature_matching if paired_features else mean_feature_matching
            losses[f"feature_matching{ending}"] = self.config.feature_matching * match(features, target)
        else:
            logits = discriminator(self.augmented(fake, condition, drawn))
        if self.config.adversarial != "wasserstein":
            losses.metrics[f"fake_accuracy{ending}"] = self.loss.fake_accuracy(logits)
        weight = self.config.adversarial_weight
        adversarial = {f"adversarial{ending}": weight * self.loss.generator(logits)} if weight else {}
        return adversarial | losses

    def augmented(self, images: Tensor, condition: Tensor | None, drawn: Tensor) -> Tensor:
        """The input of a discriminator: the condition's channels before the image's, both augmented as drawn."""
        images, condition = self.augment(images, condition, drawn)
        return images if condition is None else torch.cat([condition, images], dim=1)
