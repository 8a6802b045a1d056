"""CUT and FastCUT: unpaired translation in one direction, with a contrastive loss on patches."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError, setting
from i2i.losses import Kind, patch_nce
from i2i.methods.base import Batch, Losses, Method, methods
from i2i.networks import Backbones, Generator
from i2i.networks.layers import initialize


@methods.register("cut")
class CUT(Method):
    """Park et al. 2020, eq. 4: an adversarial loss and PatchNCE on the features of the generator's encoder.

    As in its code, images are resized and cropped until the learning rate starts to decay, and uncropped from then on,
    at the test size.

    Differs from the paper: not at all. From its code: the weights are the paper's, 1 and 1, where the code halves the
    sum of the two PatchNCE terms (`nce_weight=0.5`, `identity_weight=0.5`); the input's own feature map, the image,
    lacks the code's border of 3 reflected pixels.
    """

    summary = "two unpaired sets, in one direction, where shapes stay in place"
    data = "unpaired"
    generator_spec = "resnet:down=blur,up=bilinear,init=xavier"
    inversion_advice = f"{setting('identity_weight', 5)}, which keeps colours"
    discriminator_spec = "patchgan:norm=instance,down=blur,init=xavier"
    presets = MappingProxyType(
        {
            "quality": {
                "ema_decay": 0.998,
                "generator": "resnet:up=resize",
                "discriminator": "patchgan:spectral=true",
            }
        }
    )
    data_config = DataConfig(crop="before_decay")
    train_config = TrainConfig(epochs=400)
    fewest_steps = 8000  # as CycleGAN, whose generator it trains for twice as many epochs

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of CUT, their weights, and training options."""

        adversarial: Kind = "lsgan"
        """The adversarial loss."""
        nce_weight: float = 1.0
        """Weight of PatchNCE between the input and its translation."""
        identity_weight: float = 1.0
        """Weight of PatchNCE between an image of the target domain and its translation, which should not change it."""
        patches: int = 256
        """Positions of a feature map that are contrasted with each other."""
        temperature: float = 0.07
        """Divides the similarities in PatchNCE."""
        flip_equivariance: bool = False
        """Mirror the generator's input half of the time, and its features back."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.patches < 2 or self.temperature <= 0:
                raise UsageError("cut needs patches >= 2, to contrast each with the others, and temperature > 0")

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1], and whether the generator's input was mirrored."""

        real_a: Tensor
        fake_b: Tensor
        real_b: Tensor
        mirrored: bool = False

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        if a != b:
            raise UsageError(f"cut contrasts input and output, which need the same number of channels, not {a} and {b}")
        self.generator = backbones.generator(a, b)
        self.discriminator = backbones.discriminator(b)
        with torch.no_grad():
            features = self.generator.features(torch.zeros(1, a, backbones.image_size, backbones.image_size))
        self.projections = Projections([feature.shape[1] for feature in features])

    def forward(self, batch: Batch) -> Images:
        """Translate the input."""
        a = batch["a"]
        mirrored = self.config.flip_equivariance and self.training and bool(torch.rand(()) < 0.5)
        return self.Images(a, self.generator(a.flip(3) if mirrored else a), batch["b"], mirrored)

    def discriminator_loss(self, images: Images) -> Losses:
        """Half of the adversarial loss."""
        return self.terms.discriminator(self.discriminator, real=images.real_b, fake=images.fake_b)

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial term, PatchNCE, and PatchNCE on the target domain (identity)."""
        losses = self.terms.generator(self.discriminator, real=images.real_b, fake=images.fake_b)
        losses["nce"] = self.config.nce_weight * self.contrast(images.fake_b, images.real_a, mirrored=images.mirrored)
        if self.config.identity_weight:
            same_b = self.generator(images.real_b)
            losses["identity"] = self.config.identity_weight * self.contrast(same_b, images.real_b)
        return losses

    def contrast(self, output: Tensor, source: Tensor, *, mirrored: bool = False) -> Tensor:
        """PatchNCE between an output and its input at random positions, averaged over the feature maps (eq. 3)."""
        queries = self.generator.features(output)
        if mirrored:
            queries = [query.flip(3) for query in queries]
        # Keys get no gradient (eq. 3).
        with torch.no_grad():
            keys = self.generator.features(source)
            indices = [torch.randperm(key[0, 0].numel())[: self.config.patches].to(key.device) for key in keys]
            keys = self.projections(keys, indices)
        queries = self.projections(queries, indices)
        temperature = self.config.temperature
        each = [patch_nce(query, key, temperature=temperature) for query, key in zip(queries, keys, strict=True)]
        return torch.stack(each).mean()

    def players(self) -> dict[str, nn.Module]:
        """The generator with its projections, and the discriminator."""
        return {
            "generator": nn.ModuleList([self.generator, self.projections]),
            "discriminator": self.discriminator,
        }

    def generators(self) -> dict[str, Generator]:
        """From domain a to domain b."""
        return {"a2b": self.generator}


@methods.register("fastcut")
class FastCUT(CUT):
    """Park et al. 2020, sec. 4.1: CUT without the identity term, with flip equivariance, in about half the time.

    Differs from the paper: not at all; from its code, as CUT does.
    """

    summary = "like cut, in about half the time"
    presets = MappingProxyType({})  # that of CUT hasn't been measured with it
    train_config = TrainConfig(epochs=200, lr_decay_fraction=0.25)

    @dataclass(frozen=True)
    class Config(CUT.Config):
        """Losses of FastCUT, their weights, and training options."""

        nce_weight: float = 10.0
        """Weight of PatchNCE between the input and its translation."""
        identity_weight: float = 0.0
        """Weight of PatchNCE between an image of the target domain and its translation, which should not change it."""
        flip_equivariance: bool = True
        """Mirror the generator's input half of the time, and its features back."""

    config: Config


class Projections(nn.Module):
    """A two-layer MLP for each feature map, which projects its patches to vectors of unit length.

    Source: Park et al. 2020, sec. 3.2.
    """

    def __init__(self, channels: list[int], *, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )
        initialize(self, init="xavier")

    def forward(self, features: list[Tensor], indices: list[Tensor]) -> list[Tensor]:
        """Project feature maps (N, C, h, w) at P of their h w positions: (N, P, width) each."""
        patches = [f.flatten(2)[:, :, index].transpose(1, 2) for f, index in zip(features, indices, strict=True)]
        # Untrained, the vectors are so short that gradients through their normalisation overflow float16.
        with torch.autocast(patches[0].device.type, enabled=False):
            return [
                F.normalize(layer(patch.to(next(layer.parameters()).dtype)).float(), dim=2, eps=1e-6)
                for layer, patch in zip(self.layers, patches, strict=True)
            ]
