"""pix2pixHD: pairs at high resolution, with multi-scale discriminators, feature matching and a perceptual loss."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.config import DataConfig
from i2i.losses import Kind, Perceptual
from i2i.methods.base import Losses, Method, methods
from i2i.methods.pix2pix import Conditional
from i2i.networks import Backbones


@methods.register("pix2pixhd")
class Pix2PixHD(Conditional):
    """Wang et al. 2018, eq. 5: least-squares losses at three scales, feature matching and a perceptual term, no L1.

    The discriminators' losses are halved, as in the paper's code, which computes both players' losses before it updates
    either.

    Differs from the paper: it trains the global generator first and an enhancer at twice the size afterwards (sec.
    3.2); here they are trained together from the start; no instance maps and no boundary channel (sec. 3.3); VGG's
    inputs are normalised with ImageNet's statistics, where the paper's code feeds it images in [-1, 1]. Three scales
    are the paper's; its code defaults to two.
    """

    summary = "pairs at high resolution (512 px and more)"
    generator_spec = "coarse_to_fine"
    discriminator_spec = "patchgan:norm=instance,scales=3,padding=2"
    data_config = DataConfig(image_size=512)
    generator_first = True

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of pix2pixHD, their weights, and training options."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        feature_matching: float = 10.0
        """Weight of feature matching: fakes should have the discriminator features of real images."""
        perceptual_weight: float = 10.0
        """Weight of the perceptual term, the distance between VGG-19 features; 0: no term and no 548 MB download."""

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config, backbones)
        self.perceptual = Perceptual() if config.perceptual_weight else None

    def generator_loss(self, images: Conditional.Images) -> Losses:
        """The adversarial term, feature matching, and the perceptual distance to the target."""
        losses = super().generator_loss(images)
        if self.perceptual is not None:
            distance = self.perceptual(images.fake_b, images.real_b)
            losses["perceptual"] = self.config.perceptual_weight * distance
        return losses
