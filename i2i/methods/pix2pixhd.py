"""pix2pixHD: pairs at high resolution, with multi-scale discriminators, feature matching and a perceptual loss."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.config import DataConfig
from i2i.losses import Kind, PerceptualNetwork
from i2i.methods.base import methods
from i2i.methods.pix2pix import Conditional


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
    class Config(Conditional.Config):
        """Losses of pix2pixHD, their weights, and training options."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        feature_matching: float = 10.0
        """Weight of feature matching: fakes should have the discriminator features of real images."""
        perceptual_weight: float = 10.0
        """Weight of the perceptual term, the distance between features of output and target; 0: no term."""
        perceptual_network: PerceptualNetwork = "vgg19"
        """Network of the perceptual term; vgg19 downloads 548 MB."""
