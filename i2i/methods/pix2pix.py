"""pix2pix: a conditional adversarial loss and L1, on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn

from i2i.losses import Perceptual, PerceptualNetwork, l1
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.networks import Backbones, Generator


class Conditional(Method):
    """A conditional GAN on pairs: the discriminator sees input and output together (Isola et al. 2017, eq. 1)."""

    data = "paired"
    fewest_steps = 8000  # facades: 200 epochs of 400 pairs are 80,000 (Isola et al. 2017, sec. 6.2)

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1]."""

        real_a: Tensor
        fake_b: Tensor
        real_b: Tensor

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Settings of conditional GANs."""

        perceptual_weight: float = 0.0
        """Weight of the perceptual term, the distance between features of output and target; 0: no term."""
        perceptual_network: PerceptualNetwork = "efficientnet-lite0"
        """Network of the perceptual term; vgg19 downloads 548 MB."""

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        self.generator = backbones.generator(a, b)
        self.discriminator = backbones.discriminator(a + b)
        self.perceptual = Perceptual(config.perceptual_network) if config.perceptual_weight else None

    def forward(self, batch: Batch) -> Images:
        """Translate the input."""
        return self.Images(real_a=batch["a"], fake_b=self.generator(batch["a"]), real_b=batch["b"])

    def discriminator_loss(self, images: Images) -> Losses:
        """Half of the adversarial loss (sec. 3.3), conditioned on the input."""
        return self.terms.discriminator(
            self.discriminator, real=images.real_b, fake=images.fake_b, condition=images.real_a
        )

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial term, conditioned on the input, and the perceptual distance to the target if it is set."""
        real, fake, condition = images.real_b, images.fake_b, images.real_a
        losses = self.terms.generator(
            self.discriminator, real=real, fake=fake, condition=condition, paired_features=True
        )
        if self.perceptual is not None:
            losses["perceptual"] = self.config.perceptual_weight * self.perceptual(fake, real)
        return losses

    def players(self) -> dict[str, nn.Module]:
        """The generator and the discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def generators(self) -> dict[str, Generator]:
        """From domain a to domain b."""
        return {"a2b": self.generator}


@methods.register("pix2pix")
class Pix2Pix(Conditional):
    """Isola et al. 2017, eq. 4: a conditional adversarial loss and L1; the discriminator's loss is halved (sec. 3.3).

    Differs from the paper: not at all. From its PyTorch code: dropout in the decoder layers 1 to 3 (2 to 4 there), and
    the learning rate falls every step instead of every epoch.
    """

    summary = "pairs of input and output"
    generator_spec = "unet"
    discriminator_spec = "patchgan"
    presets = MappingProxyType(
        {"quality": {"ema_decay": 0.998, "generator": "unet:up=resize", "perceptual_weight": 30.0}}
    )

    @dataclass(frozen=True)
    class Config(Conditional.Config):
        """Losses of pix2pix, their weights, and training options."""

        l1_weight: float = 100.0
        """Weight of the L1 term."""

    config: Config

    def generator_loss(self, images: Conditional.Images) -> Losses:
        """The adversarial term and L1 to the target (eq. 4)."""
        losses = super().generator_loss(images)
        return losses | {"l1": self.config.l1_weight * l1(images.fake_b, images.real_b)}
