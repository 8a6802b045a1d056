"""Encoder: the latents of photographs, for a generator that is trained already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError, setting
from i2i.losses import Perceptual, PerceptualNetwork
from i2i.methods.base import Batch, Losses, LossFn, Method, methods
from i2i.model_file import load_model
from i2i.networks import Backbones, LatentEncoder, LatentGenerator, build_latent_encoder
from i2i.pretrained import model_file


@methods.register("encoder")
class Encoder(Method):
    """Zhu et al. 2016 (iGAN), sec. 3.2: predict latents whose image is that which is encoded.

    The loss is the squared difference of the images, and the distance of their features.

    Differs from the paper: the features are those of five layers of EfficientNet-Lite0, there of AlexNet's conv4.
    """

    summary = "finds the latents of photographs for a run of gan, to edit them"
    data = "single"
    of_run = "model"
    generator_spec = "dcgan"
    discriminator_spec = "dcgan"
    data_config = DataConfig(image_size=64, augment=())
    train_config = TrainConfig(epochs=25, batch_size=128, lr_decay_fraction=0.0, weight_decay=1e-5, samples=16)

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of the encoder, their weights, and training options."""

        model: str = ""
        """Run folder or model file of the generator, which stays as it is."""
        encoder_width: int = 128
        """Channels of the encoder's first convolution."""
        perceptual_weight: float = 0.05
        """Weight of the perceptual term, the distance between features of both images; 0: no term."""
        perceptual_network: PerceptualNetwork = "efficientnet-lite0"
        """Network of the perceptual term; vgg19 downloads 548 MB."""

    class Images(NamedTuple):
        """Images and those of their predicted latents, (N, C, H, W) in [-1, 1]."""

        real_b: Tensor
        reconstructed_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        if not config.model:
            raise UsageError(
                "an encoder is trained for a generator; give its run in place of the data: i2i train encoder RUN, or "
                f"{setting('model', 'MODEL')}"
            )
        generator = load_model(model_file(config.model)).generators.get("z2b")
        if not isinstance(generator, LatentGenerator):
            raise UsageError(f"{config.model} doesn't generate images from latents; use a run of gan")
        expected = (backbones.image_size, backbones.channels[1], backbones.classes)
        if (generator.image_size, generator.out_channels, generator.classes) != expected:
            raise UsageError(
                f"{config.model} generates images of {generator.image_size} px and {generator.out_channels} channels "
                f"with {generator.classes} labels, and the data have {expected[0]} px, {expected[1]} channels and "
                f"{expected[2]} labels; give the run in place of the data: i2i train encoder RUN"
            )
        self.generator = generator.requires_grad_(False)
        self.encoder = build_latent_encoder(
            "dcgan",
            in_channels=generator.out_channels,
            image_size=generator.image_size,
            latent=generator.latent,
            width=config.encoder_width,
            prior=generator.prior,
        )
        self.perceptual = Perceptual(config.perceptual_network) if config.perceptual_weight else None

    def train(self, mode: bool = True) -> Encoder:
        """The generator stays in evaluation mode."""
        super().train(mode)
        self.generator.eval()
        return self

    def forward(self, batch: Batch) -> Images:
        """Encode the images, and generate from their latents."""
        real = batch["b"]
        latents = self.encoder(real)
        classes = self.generator.classes
        labels = F.one_hot(batch["label"], classes).to(latents) if classes else latents[:, :0]
        return self.Images(real, self.generator(torch.cat([latents, labels], dim=1)))

    def generator_loss(self, images: Images) -> Losses:
        """The distances between the images and those of their latents."""
        losses = Losses({"squared": F.mse_loss(images.reconstructed_b.float(), images.real_b.float())})
        if self.perceptual is not None:
            distance = self.perceptual(images.reconstructed_b, images.real_b)
            losses["perceptual"] = self.config.perceptual_weight * distance
        return losses

    def discriminator_loss(self, images: Any) -> Losses:
        """There is no discriminator."""
        raise NotImplementedError

    def turns(self, step: int) -> Iterator[tuple[str, LossFn]]:  # noqa: ARG002
        """The encoder alone."""
        yield "encoder", self.generator_loss

    def players(self) -> dict[str, nn.Module]:
        """The encoder."""
        return {"encoder": self.encoder}

    def generators(self) -> Mapping[str, LatentGenerator | LatentEncoder]:
        """From a latent to images, and back."""
        return {"z2b": self.generator, "b2z": self.encoder}
