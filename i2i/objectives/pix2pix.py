"""pix2pix: a conditional adversarial loss and L1, on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from i2i.losses import l1
from i2i.networks import Backbones, Generator
from i2i.objectives.base import Batch, Losses, Objective, objectives


@objectives.register("pix2pix")
class Pix2Pix(Objective):
    """Isola et al. 2017, eq. 4: the discriminator judges input and output together; its loss is halved (sec. 3.3)."""

    data = "paired"
    generator_spec = "unet"
    discriminator_spec = "patchgan"

    @dataclass(frozen=True)
    class Config(Objective.Config):
        """Options of pix2pix."""

        l1_weight: float = 100.0
        """Weight of the L1 term."""

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1]."""

        real_a: Tensor
        fake_b: Tensor
        real_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        self.generator = backbones.generator(a, b)
        self.discriminator = backbones.discriminator(a + b)

    def forward(self, batch: Batch) -> Images:
        """Translate the input."""
        return self.Images(real_a=batch["a"], fake_b=self.generator(batch["a"]), real_b=batch["b"])

    def discriminator_loss(self, images: Images) -> Losses:
        """Half of the adversarial loss on pairs."""
        return self.judge(self.discriminator, *self._pairs(images))

    def generator_loss(self, images: Images) -> Losses:
        """To pass for real, and to be near the target."""
        real, fake = self._pairs(images)
        losses = self.fool(self.discriminator, fake, real)
        return losses | {"l1": self.config.l1_weight * l1(images.fake_b, images.real_b)}

    def players(self) -> dict[str, nn.Module]:
        """One generator, one discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def maps(self) -> dict[str, Generator]:
        """From what you have to what you want."""
        return {"a2b": self.generator}

    def _pairs(self, images: Images) -> tuple[Tensor, Tensor]:
        """What the discriminator sees: the input with the real and with the generated output."""
        real = torch.cat([images.real_a, images.real_b], dim=1)
        return real, torch.cat([images.real_a, images.fake_b], dim=1)
