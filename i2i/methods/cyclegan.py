"""CycleGAN: unpaired translation in both directions, with cycle-consistency."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.losses import Kind, l1
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.methods.image_pool import ImagePool
from i2i.networks import Backbones, Generator


@methods.register("cyclegan")
class CycleGAN(Method):
    """Zhu et al. 2017, eq. 3: least-squares adversarial losses in both directions, and cycle-consistency.

    Both generators are updated together, then both discriminators, which see fakes from an image pool and whose losses
    are halved (sec. 4).

    Differs from the paper: not at all. From its code: no identity terms unless asked for (0.5 x 10 there), the
    learning rate falls every step instead of every epoch, and each epoch shows every image of b once instead of drawing
    them with replacement.
    """

    summary = "two unpaired sets of images, in both directions"
    data = "unpaired"
    generator_spec = "resnet"
    discriminator_spec = "patchgan:norm=instance"
    generator_first = True
    inversion_advice = f"{setting('identity_weight', 5)}, which keeps colours"
    presets = MappingProxyType(
        {
            "quality": {
                "ema_decay": 0.998,
                "generator": "resnet:up=resize",
                "identity_weight": 5.0,
                "diffaugment": ("colour", "translation"),
            }
        }
    )
    fewest_steps = 8000  # facades: 200 epochs of 400 images are 80,000 (sec. 7)

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of CycleGAN, their weights, and training options."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        cycle_weight: float = 10.0
        """Weight of the cycle-consistency terms."""
        identity_weight: float = 0.0
        """Weight of the identity terms, which keep colours: 5 for paintings and photographs (sec. 5.2). The paper's
        objective (eq. 3) has none; the authors' code uses 5 (0.5 x 10) on every data set."""
        pool_size: int = 50
        """Size of the image pool: earlier fakes that the discriminators see again; 0: none."""

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1]."""

        real_a: Tensor
        fake_b: Tensor
        cycled_a: Tensor
        real_b: Tensor
        fake_a: Tensor
        cycled_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        if config.identity_weight and a != b:
            raise UsageError(
                f"the identity terms need the same number of channels in both domains, not {a} and {b}; use "
                f"{setting('identity_weight', 0)}"
            )
        self.a2b = backbones.generator(a, b)
        self.b2a = backbones.generator(b, a)
        self.discriminator_a = backbones.discriminator(a)
        self.discriminator_b = backbones.discriminator(b)
        self.pool_a = ImagePool(config.pool_size)
        self.pool_b = ImagePool(config.pool_size)

    def forward(self, batch: Batch) -> Images:
        """Translate both ways and back."""
        a, b = batch["a"], batch["b"]
        fake_b, fake_a = self.a2b(a), self.b2a(b)
        return self.Images(a, fake_b, self.b2a(fake_b), b, fake_a, self.a2b(fake_a))

    def images_for(self, player: str, images: Images) -> Images:
        """The discriminators see fakes from the image pools."""
        if player != "discriminator":
            return images
        return images._replace(fake_a=self.pool_a(images.fake_a), fake_b=self.pool_b(images.fake_b))

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial, cycle-consistency and identity terms."""
        weight = self.config.cycle_weight
        losses = self.terms.generator(self.discriminator_a, real=images.real_a, fake=images.fake_a, domain="a")
        losses |= self.terms.generator(self.discriminator_b, real=images.real_b, fake=images.fake_b, domain="b")
        losses["cycle_a"] = weight * l1(images.cycled_a, images.real_a)
        losses["cycle_b"] = weight * l1(images.cycled_b, images.real_b)
        if self.config.identity_weight:
            losses["identity_a"] = self.config.identity_weight * l1(self.b2a(images.real_a), images.real_a)
            losses["identity_b"] = self.config.identity_weight * l1(self.a2b(images.real_b), images.real_b)
        return losses

    def discriminator_loss(self, images: Images) -> Losses:
        """Half of the adversarial loss in each domain."""
        losses = self.terms.discriminator(self.discriminator_a, real=images.real_a, fake=images.fake_a, domain="a")
        return losses | self.terms.discriminator(
            self.discriminator_b, real=images.real_b, fake=images.fake_b, domain="b"
        )

    def players(self) -> dict[str, nn.Module]:
        """Both generators are one player, both discriminators the other."""
        return {
            "generator": nn.ModuleList([self.a2b, self.b2a]),
            "discriminator": nn.ModuleList([self.discriminator_a, self.discriminator_b]),
        }

    def generators(self) -> dict[str, Generator]:
        """Both directions: a2b and b2a."""
        return {"a2b": self.a2b, "b2a": self.b2a}
