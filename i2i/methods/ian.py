"""IAN: a network that encodes images and generates them, whose discriminator is its encoder too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError, setting
from i2i.losses import l1, mean_feature_matching, orthogonal_penalty, standard_normal_divergence
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.methods.latents import normal
from i2i.networks import Backbones, LatentEncoder, LatentGenerator, build_latent_encoder
from i2i.networks.ian import IANDiscriminator, IANEncoder
from i2i.networks.layers import precise
from i2i.seeding import seeded


@methods.register("ian")
class IAN(Method):
    """Brock et al. 2016: a VAE and a GAN in one, whose encoder grows on the discriminator's trunk.

    The discriminator tells real images, reconstructions and samples apart (sec. 3.1), and its loss alone updates the
    trunk. The decoder and the layers from the trunk to the latents minimise the adversarial terms, L1 between image and
    reconstruction, the distance between their activations in the trunk, and the KL divergence. With another adversarial
    loss than cross-entropy, which of the two a generated image is stays cross-entropy.

    Differs from the paper: a step updates both players on one batch, in its code on alternate ones, and the learning
    rate falls linearly over the last 70 % of the steps, there in three jumps. The trunk's running averages, which
    encode at inference, are those of real images alone.
    """

    summary = "encodes images of one kind and generates others, for the photo editor"
    data = "single"
    generator_spec = "ian"
    discriminator_spec = "ian"
    data_config = DataConfig(image_size=64, augment=())
    train_config = TrainConfig(epochs=80, batch_size=16, lr_decay_fraction=0.7, samples=16)
    # Its code on CelebA: IAN_simple's 250 epochs of 162,770 images, 128 in a step, are 318,000 steps.
    fewest_steps = 30_000
    presets = {  # noqa: RUF012
        "simple": {  # its IAN_simple
            "generator": "ian_simple",
            "discriminator": "ian:answers=1",
            "orthogonal_weight": 0.0,
            "latent_decay": 0.0,
            "epochs": 250,
            "batch_size": 128,
            "lr_decay_fraction": 0.0,
            "weight_decay": 2e-5,
        }
    }

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of IAN, their weights, and training options."""

        l1_weight: float = 6.0
        """Weight of the L1 term between an image and its reconstruction."""
        feature_weight: float = 1.0
        """Weight of the squared distance between their activations in the trunk."""
        divergence_weight: float = 1.0
        """Weight of the KL divergence of encoded latents from N(0, 1), averaged over the latents."""
        orthogonal_weight: float = 1e-3
        """Weight of the penalty on convolutions that aren't orthogonal."""
        latent_decay: float = 1e-5
        """Weight of the L2 penalty on the layers from the trunk to the latents."""

    class Images(NamedTuple):
        """Images (N, C, H, W) in [-1, 1]; the mean and log standard deviation of the encoded latents (N, Z)."""

        real_b: Tensor
        reconstructed_b: Tensor
        fake_b: Tensor
        mean: Tensor
        log_deviation: Tensor

    class Preview(NamedTuple):
        """Images, their reconstructions, and generated ones."""

        real_b: Tensor
        reconstructed_b: Tensor
        fake_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        channels = backbones.channels[1]
        self.generator = backbones.latent_generator(channels)
        if self.generator.prior != "normal":
            raise UsageError(
                f"ian encodes images as N(0, 1), and '{self.generator.spec.name}' generates from another distribution; "
                f"use {setting('generator', 'ian')} or {setting('generator', 'ian_simple')}"
            )
        discriminator = backbones.discriminator(channels)
        if not isinstance(discriminator, IANDiscriminator):
            raise UsageError(
                f"'{discriminator.spec.name}' has no trunk to encode with; use {setting('discriminator', 'ian')}"
            )
        self.discriminator = discriminator
        encoder = build_latent_encoder(
            "ian",
            in_channels=channels,
            image_size=backbones.image_size,
            latent=self.generator.latent,
            width=discriminator.trunk.channels[0],
        )
        assert isinstance(encoder, IANEncoder)
        self.encoder = encoder
        self.encoder.trunk = self.discriminator.trunk

    def forward(self, batch: Batch) -> Images:
        """Reconstruct the images from sampled latents of theirs, and generate as many from N(0, 1)."""
        real = batch["b"]
        with torch.no_grad():  # the trunk is the discriminator's
            activations = self.encoder.trunk(real)
        mean, log_deviation = self.encoder.head(activations[-1])
        noise, sampled = (normal(len(real), self.generator.latent).to(real.device) for _ in range(2))
        reconstructed = self.generator(mean + noise * torch.exp(log_deviation))
        return self.Images(real, reconstructed, self.generator(sampled), mean, log_deviation)

    def preview(self, batch: Batch) -> Preview:
        """Reconstructions from the mean latents, and images of the same latents each time."""
        real = batch["b"]
        drawn = self.generator.draw(len(real), generator=seeded(0)).to(real)
        return self.Preview(real, self.generator(self.encoder(real)), self.generator(drawn))

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss on reconstructions and on samples, which of the two they are, and the penalties.

        With cross-entropy, the first two add up to that of the three answers.
        """
        config, real, fake = self.config, images.real_b, images.fake_b.detach()
        with _averages_kept(self.discriminator):
            answers = [self._answer(shown) for shown in (real, images.reconstructed_b.detach(), fake)]
            losses = Losses({"adversarial": self.terms.loss.discriminator(*map(real_logit, answers))})
            if self.discriminator.answers == 3:
                kinds = [F.cross_entropy(*_kind(logits, kind)) for kind, logits in enumerate(answers[1:])]
                losses["kind"] = torch.stack(kinds).sum()
            losses |= self.terms.gradient_penalties(lambda x: real_logit(self._answer(x)), real=real, fake=fake)
        if config.orthogonal_weight:
            losses["orthogonal"] = config.orthogonal_weight * orthogonal_penalty(self.discriminator)
        return losses

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial terms, the distances of reconstructions, the KL divergence and the penalties on weights."""
        config, real, reconstructed = self.config, images.real_b, images.reconstructed_b
        drawn = self.terms.augment.draw(len(real), real.device)  # the same for an image and its reconstruction
        with _averages_kept(self.discriminator):
            with torch.no_grad():
                expected = self.discriminator.trunk(self.terms.augmented(real, None, drawn))
            judge = self.discriminator.forward_with_features
            answers, features = judge(self.terms.augmented(reconstructed, None, drawn))
            of_fake, fake_features = judge(self.terms.augmented(images.fake_b, None, drawn))
        logits = [real_logit(answers), real_logit(of_fake)]
        losses = Losses({"l1": config.l1_weight * l1(reconstructed, real)})
        distances = [F.mse_loss(precise(f), precise(e)) for f, e in zip(features, expected, strict=True)]
        losses["feature"] = config.feature_weight * torch.stack(distances).mean()
        if config.adversarial_weight:
            losses["adversarial"] = config.adversarial_weight * self.terms.loss.generator(logits)
        if config.feature_matching:
            losses["feature_matching"] = config.feature_matching * mean_feature_matching(fake_features, expected)
        divergence = standard_normal_divergence(images.mean, 2 * images.log_deviation) / images.mean.shape[1]
        losses["divergence"] = config.divergence_weight * divergence
        if config.orthogonal_weight:
            losses["orthogonal"] = config.orthogonal_weight * orthogonal_penalty(self.generator)
        if config.latent_decay:
            weights = [weight for weight in self.encoder.head.parameters() if weight.dim() > 1]
            losses["latent_decay"] = config.latent_decay * torch.stack([w.square().sum() for w in weights]).sum()
        if config.adversarial != "wasserstein":
            losses.metrics["fake_accuracy"] = self.terms.loss.fake_accuracy(logits)
        return losses

    def players(self) -> dict[str, nn.Module]:
        """The decoder with the layers to the latents, and the discriminator with the trunk."""
        return {
            "generator": nn.ModuleList([self.generator, self.encoder.head]),
            "discriminator": self.discriminator,
        }

    def generators(self) -> dict[str, LatentGenerator | LatentEncoder]:
        """From a latent to images, and back."""
        return {"z2b": self.generator, "b2z": self.encoder}

    def _answer(self, images: Tensor) -> Tensor:
        """The discriminator's logits."""
        drawn = self.terms.augment.draw(len(images), images.device)
        logits: Tensor = self.discriminator(self.terms.augmented(images, None, drawn))
        return logits


def real_logit(answers: Tensor) -> Tensor:
    """The log odds of an image being real, (N, 1), from the logits of three answers, or of that one."""
    answers = precise(answers)
    return answers[:, :1] - torch.logsumexp(answers[:, 1:], dim=1, keepdim=True) if answers.shape[1] > 1 else answers


def _kind(answers: Tensor, kind: int) -> tuple[Tensor, Tensor]:
    """The logits of an image that isn't real being a reconstruction or a sample, and which of the two it is."""
    return precise(answers[:, 1:]), torch.full((len(answers),), kind, device=answers.device)


@contextlib.contextmanager
def _averages_kept(network: nn.Module) -> Iterator[None]:
    """Leave the running averages of batch norm as they are."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
