"""GAN: images from noise, conditioned on labels if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.methods.latents import drawn_from
from i2i.networks import Backbones, LatentGenerator
from i2i.seeding import seeded


@methods.register("gan")
class GAN(Method):
    """Goodfellow et al. 2014, eq. 1 and algorithm 1, with DCGAN's networks and settings (Radford et al. 2016).

    With labels it is a conditional GAN (Goodfellow 2016, sec. 4.1; Mirza and Osindero 2014): the generator gets a
    one-hot code after its latent, the discriminator one channel for each class before the image's.

    Differs from the paper: the generator is updated on the latents that the discriminator was just trained on, where
    Algorithm 1 samples new ones; networks, Adam and the loss of the generator are DCGAN's. From DCGAN's code: both
    players are updated on every minibatch, there on alternate ones: twice the updates in an epoch. See `mlp`
    for its differences from the code of 2014.
    """

    summary = "generates images from noise, by class if there are labels"
    data = "single"
    generator_spec = "dcgan"
    discriminator_spec = "dcgan"
    data_config = DataConfig(image_size=64, augment=())
    train_config = TrainConfig(
        epochs=25, batch_size=128, lr_decay_fraction=0.0, weight_decay=1e-5, samples=64, vbn_batch=64
    )
    # Radford et al. 2016, fig. 2: one pass over 3 M bedrooms, 128 in a step, is 23,400 steps. 1,100 digits of 32 px are
    # grey blobs after 200 steps here, and digits after 2,000.
    fewest_steps = 2300

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of GAN, their weights, and training options."""

    class Images(NamedTuple):
        """Images (N, C, H, W) in [-1, 1], and the labels of both as one-hot codes (N, classes)."""

        real_b: Tensor
        fake_b: Tensor
        labels: Tensor

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        self.classes = backbones.classes
        self.generator = backbones.latent_generator(backbones.channels[1])
        self.discriminator = backbones.discriminator(backbones.channels[1] + backbones.classes)

    def forward(self, batch: Batch) -> Images:
        """Generate as many images as there are real ones, with their labels."""
        real = batch["b"]
        latents = drawn_from(self.generator.prior, len(real), self.generator.latent).to(real.device)
        return self._generate(real, latents, batch)

    def preview(self, batch: Batch) -> Images:
        """The same latents each time."""
        real = batch["b"]
        return self._generate(real, self.generator.draw(len(real), generator=seeded(0)).to(real), batch)

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss."""
        return self.terms.discriminator(
            self.discriminator,
            real=images.real_b,
            fake=images.fake_b,
            condition=self._label_channels(images),
            weight=1.0,
        )

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial term."""
        return self.terms.generator(
            self.discriminator, real=images.real_b, fake=images.fake_b, condition=self._label_channels(images)
        )

    def players(self) -> dict[str, nn.Module]:
        """The generator and the discriminator."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def generators(self) -> dict[str, LatentGenerator]:
        """From a latent to images."""
        return {"z2b": self.generator}

    def _generate(self, real: Tensor, latents: Tensor, batch: Batch) -> Images:
        labels = F.one_hot(batch["label"], self.classes) if self.classes else latents[:, :0]
        labels = labels.to(latents.dtype)
        return self.Images(real, self.generator(torch.cat([latents, labels], dim=1)), labels)

    def _label_channels(self, images: Images) -> Tensor:
        """The one-hot labels as constant channels of the images' size, (N, classes, H, W)."""
        return images.labels[:, :, None, None].expand(-1, -1, *images.real_b.shape[2:])
