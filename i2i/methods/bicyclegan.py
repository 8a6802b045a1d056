"""BicycleGAN: many plausible outputs for one input, chosen by a latent."""

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
    """Zhu et al. 2017b, eq. 9: cVAE-GAN and cLR-GAN, trained together.

    cVAE-GAN: encode b to z, and reconstruct b from a and z. cLR-GAN: sample z, generate, and recover z, whose loss
    updates the generator alone (sec. 3.4). Each has its own discriminator at two scales (70 and 140 px), which sees the
    output alone, as in the paper's code.

    Differs from the paper: both cycles use every pair of the batch, where its code encodes the first half and shows the
    other half to the second discriminator as real; dropout in the decoder layers 1 to 3 (2 to 4 there); three
    halvings in the discriminator at every size (two at 128 px there). The code trains 60 epochs on 50,000 pairs and 400
    on 400 pairs: here 60, or as many as make 80,000 steps, which is 400 on 400 pairs.
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
        """Losses of BicycleGAN, their weights, and training options."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        l1_weight: float = 10.0
        """Weight of the L1 term between the target and its reconstruction."""
        latent_weight: float = 0.5
        """Weight of the L1 term between a sampled latent and the one recovered from its output."""
        divergence_weight: float = 0.01
        """Weight of the KL divergence of encoded latents from N(0, 1)."""
        latent: int = 8
        """Length of the latent."""
        encoder_width: int = 64
        """Channels of the encoder's first convolution."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_numbers(self, positive=("latent", "encoder_width"))

    class Images(NamedTuple):
        """Images (N, C, H, W) in [-1, 1] and latents (N, Z); `fake_b` is generated from the sampled one."""

        real_a: Tensor
        real_b: Tensor
        reconstructed_b: Tensor
        fake_b: Tensor
        mean: Tensor
        log_variance: Tensor
        sampled: Tensor

    class Preview(NamedTuple):
        """A pair, the target's reconstruction, and the outputs of `translate()` for three seeds."""

        real_a: Tensor
        real_b: Tensor
        reconstructed_b: Tensor
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
        self.discriminator_reconstructed = backbones.discriminator(b)
        self.discriminator_sampled = backbones.discriminator(b)

    def forward(self, batch: Batch) -> Images:
        """Reconstruct the target from its encoded latent, and translate with a sampled one."""
        a, b = batch["a"], batch["b"]
        mean, log_variance = self.encoder(b)
        noise, sampled = (normal(len(a), self.config.latent).to(a.device) for _ in range(2))
        encoded = mean + noise * torch.exp(0.5 * log_variance)
        reconstructed, fake = self.generator(a, encoded), self.generator(a, sampled)
        return self.Images(a, b, reconstructed, fake, mean, log_variance, sampled)

    def preview(self, batch: Batch) -> Preview:
        """The same three latents for each input."""
        a, b = batch["a"], batch["b"]
        latents = [torch.randn(1, self.config.latent, generator=seeded(seed)).to(a.device) for seed in range(3)]
        outputs = [self.generator(a, latent.expand(len(a), -1)) for latent in latents]
        return self.Preview(a, b, self.generator(a, self.encoder(b)[0]), *outputs)

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss of each discriminator, on reconstructions and on translations."""
        real, reconstructed, fake = images.real_b, images.reconstructed_b, images.fake_b
        losses = self.terms.discriminator(
            self.discriminator_reconstructed, real=real, fake=reconstructed, weight=1.0, domain="reconstructed"
        )
        return losses | self.terms.discriminator(
            self.discriminator_sampled, real=real, fake=fake, weight=1.0, domain="sampled"
        )

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial terms, L1 of reconstruction and recovered latent, and the KL divergence (eq. 9)."""
        config, real, reconstructed = self.config, images.real_b, images.reconstructed_b
        # The encoder's weights are detached, so that it can't agree with the generator on a hidden code (sec. 3.4).
        fixed = {name: weight.detach() for name, weight in self.encoder.named_parameters()}
        recovered, _ = torch.func.functional_call(self.encoder, fixed, (images.fake_b,))
        losses = self.terms.generator(
            self.discriminator_reconstructed,
            real=real,
            fake=reconstructed,
            paired_features=True,
            domain="reconstructed",
        )
        losses |= self.terms.generator(self.discriminator_sampled, real=real, fake=images.fake_b, domain="sampled")
        return losses | {
            "l1": config.l1_weight * l1(reconstructed, real),
            "latent": config.latent_weight * l1(recovered, images.sampled),
            "divergence": config.divergence_weight * standard_normal_divergence(images.mean, images.log_variance),
        }

    def players(self) -> dict[str, nn.Module]:
        """The generator and the encoder are one player, both discriminators the other."""
        return {
            "generator": nn.ModuleList([self.generator, self.encoder]),
            "discriminator": nn.ModuleList([self.discriminator_reconstructed, self.discriminator_sampled]),
        }

    def generators(self) -> dict[str, Generator]:
        """From domain a to domain b, with a latent to choose among the outputs."""
        return {"a2b": self.generator}
