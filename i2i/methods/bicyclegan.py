"""BicycleGAN: many plausible outputs for one input, each named by a latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig, check_numbers
from i2i.errors import UsageError
from i2i.losses import Kind, l1, standard_normal_divergence
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.methods.latents import normal
from i2i.networks import Backbones, Generator
from i2i.networks.encoder import Encoder
from i2i.seeding import seeded


@methods.register("bicyclegan")
class BicycleGAN(Method):
    """Zhu et al. 2017b, eq. 9: a latent that is encoded from the target rebuilds it, and a drawn one is recovered.

    cVAE-GAN: encode b to z, and rebuild b from a and z. cLR-GAN: draw z, generate, and recover z, which moves the
    generator alone (sec. 3.4). Each has a discriminator of its own, at two scales (70 and 140 px), which sees the
    output alone, as in the paper's code.

    Differs from the paper: both ways use every pair of the batch, where its code encodes the first half of it and shows
    the other half to the second discriminator as real; dropout in the decoder layers 1 to 3 (2 to 4 there); three
    halvings in the discriminator at every size (two at 128 px there). The code trains 60 epochs on 50,000 pairs and 400
    on 400 pairs: here 60, and as many more as make 80,000 steps, which is 400 on 400 pairs.
    """

    summary = "pairs where one input has many plausible outputs"
    data = "paired"
    generator_spec = "unet:norm=instance,dropout=0.5,dropout_at_inference=false,where=all,init=xavier"
    discriminator_spec = "patchgan:norm=instance,scales=2,scale_width=halved,init=xavier"
    data_config = DataConfig(crop="never")
    train_config = TrainConfig(epochs=60, min_steps=80_000, batch_size=2)
    generator_first = True
    fewest_steps = 8000  # its code on facades: 400 epochs of 400 pairs, 2 in a step, is 80,000

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of BicycleGAN, their weights, and tricks of the training."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        l1_weight: float = 10.0
        """Weight of the L1 term between the target and what its own latent rebuilds."""
        latent_weight: float = 0.5
        """Weight of the L1 term between a drawn latent and the one recovered from its output."""
        divergence_weight: float = 0.01
        """Weight of the divergence of encoded latents from N(0, 1)."""
        latent: int = 8
        """Length of the latent."""
        encoder_width: int = 64
        """Channels of the encoder's first convolution."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_numbers(self, positive=("latent", "encoder_width"))

    class Images(NamedTuple):
        """Images (N, C, H, W) in [-1, 1] and latents (N, Z); `fake_b` is made from the drawn one."""

        real_a: Tensor
        real_b: Tensor
        rebuilt_b: Tensor
        fake_b: Tensor
        mean: Tensor
        log_variance: Tensor
        drawn: Tensor

    class Preview(NamedTuple):
        """A pair, what the target's own latent rebuilds, and what `translate()` gives for three seeds."""

        real_a: Tensor
        real_b: Tensor
        rebuilt_b: Tensor
        seed0_b: Tensor
        seed1_b: Tensor
        seed2_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        if backbones.image_size < 16:
            raise UsageError(f"image size {backbones.image_size}: bicyclegan's encoder needs 16 pixels or more")
        self.generator = backbones.generator(a, b, latent=config.latent)
        blocks = 4 if backbones.image_size >= 256 else 3
        self.encoder = Encoder(b, config.latent, width=config.encoder_width, blocks=blocks)
        self.discriminator_rebuilt = backbones.discriminator(b)
        self.discriminator_drawn = backbones.discriminator(b)

    def forward(self, batch: Batch) -> Images:
        """Rebuild the target from its latent, and translate with a drawn one."""
        a, b = batch["a"], batch["b"]
        mean, log_variance = self.encoder(b)
        noise, drawn = (normal(len(a), self.config.latent).to(a.device) for _ in range(2))
        encoded = mean + noise * torch.exp(0.5 * log_variance)
        rebuilt, fake = self.generator(a, encoded), self.generator(a, drawn)
        return self.Images(a, b, rebuilt, fake, mean, log_variance, drawn)

    def preview(self, batch: Batch) -> Preview:
        """The same three latents for each input."""
        a, b = batch["a"], batch["b"]
        latents = [torch.randn(1, self.config.latent, generator=seeded(seed)).to(a.device) for seed in range(3)]
        outputs = [self.generator(a, latent.expand(len(a), -1)) for latent in latents]
        return self.Preview(a, b, self.generator(a, self.encoder(b)[0]), *outputs)

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss of each discriminator, on rebuilt and on translated images."""
        real, rebuilt, fake = images.real_b, images.rebuilt_b, images.fake_b
        losses = self.discriminator_terms(
            self.discriminator_rebuilt, real=real, fake=rebuilt, weight=1.0, domain="rebuilt"
        )
        return losses | self.discriminator_terms(
            self.discriminator_drawn, real=real, fake=fake, weight=1.0, domain="drawn"
        )

    def generator_loss(self, images: Images) -> Losses:
        """To pass for real both ways, to rebuild the target, and to show in the output which latent was drawn."""
        config, real, rebuilt = self.config, images.real_b, images.rebuilt_b
        # With the encoder's weights held fixed, so that it can't agree with the generator on a hidden code.
        fixed = {name: weight.detach() for name, weight in self.encoder.named_parameters()}
        recovered, _ = torch.func.functional_call(self.encoder, fixed, (images.fake_b,))
        losses = self.generator_terms(
            self.discriminator_rebuilt, real=real, fake=rebuilt, paired_features=True, domain="rebuilt"
        )
        losses |= self.generator_terms(self.discriminator_drawn, real=real, fake=images.fake_b, domain="drawn")
        return losses | {
            "l1": config.l1_weight * l1(rebuilt, real),
            "latent": config.latent_weight * l1(recovered, images.drawn),
            "divergence": config.divergence_weight * standard_normal_divergence(images.mean, images.log_variance),
        }

    def players(self) -> dict[str, nn.Module]:
        """The generator and the encoder move as one player, and so do both discriminators."""
        return {
            "generator": nn.ModuleList([self.generator, self.encoder]),
            "discriminator": nn.ModuleList([self.discriminator_rebuilt, self.discriminator_drawn]),
        }

    def generators(self) -> dict[str, Generator]:
        """From what you have to what you want, with a latent to choose among the outputs."""
        return {"a2b": self.generator}
