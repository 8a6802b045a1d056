"""distill: a small generator learns from a trained one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.config import TrainConfig
from i2i.errors import UsageError, setting
from i2i.losses import l1
from i2i.methods.base import Batch, Losses, methods
from i2i.methods.pix2pix import Conditional
from i2i.model_file import load_model
from i2i.model_file.header import find_direction
from i2i.networks import Backbones, Generator
from i2i.networks.build import nearest_size
from i2i.pretrained import model_file


@methods.register("distill")
class Distill(Conditional):
    """Li et al. 2020 (GAN Compression), sec. 3.2, eq. 4: a student has the output and the features of its teacher.

    The discriminator tells the student's output from the target. The student's features pass through a 1x1 convolution
    of their own each, which is trained with it and thrown away (eq. 3).

    Differs from the paper: the L1 term compares with the teacher's output instead of the target. The discriminator
    starts from random weights, since model files have none. The student isn't pruned from its teacher, nor is its width
    searched for: the run's generator has it.
    """

    summary = "pairs and a trained model, of which it makes a smaller and faster one"
    of_run = "teacher"
    generator_spec = "unet:width=16,dropout=0,up=resize"
    discriminator_spec = "patchgan"
    train_config = TrainConfig(ema_decay=0.998)
    presets = MappingProxyType({"quality": {"perceptual_weight": 30.0}})

    @dataclass(frozen=True)
    class Config(Conditional.Config):
        """Losses of distillation, their weights, and training options."""

        teacher: str = ""
        """Name of a pretrained model, run folder or model file of the teacher, which stays as it is."""
        teacher_to: str | None = None
        """Domain that the teacher translates to, where it has two directions."""
        output_weight: float = 100.0
        """Weight of the L1 term between the outputs of student and teacher."""
        feature_weight: float = 1.0
        """Weight of the squared difference between features of student and teacher; 0: no term."""

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1]."""

        real_a: Tensor
        fake_b: Tensor
        teacher_b: Tensor
        real_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config, backbones)
        self.teacher = _load_teacher(config, backbones)
        self.to_teacher = nn.ModuleList()
        if config.feature_weight:
            self.to_teacher.extend(_convolutions(self.generator, self.teacher, size=backbones.image_size))

    def train(self, mode: bool = True) -> Distill:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> Images:  # type: ignore[override]
        """Translate the input with the student and with the teacher."""
        a = batch["a"]
        with torch.no_grad():
            teacher_b = self.teacher(a)
        return self.Images(real_a=a, fake_b=self.generator(a), teacher_b=teacher_b, real_b=batch["b"])

    def generator_loss(self, images: Images) -> Losses:  # type: ignore[override]
        """The terms of a conditional GAN, and the distances to the teacher's output and features."""
        losses = super().generator_loss(Conditional.Images(images.real_a, images.fake_b, images.real_b))
        losses["output"] = self.config.output_weight * l1(images.fake_b, images.teacher_b)
        if self.to_teacher:
            losses["features"] = self.config.feature_weight * torch.stack([*self._distances(images.real_a)]).mean()
        return losses

    def _distances(self, x: Tensor) -> Iterator[Tensor]:
        """Of the student's features from the teacher's: eq. 3, as a mean over the entries of each feature map."""
        with torch.no_grad():
            wanted = self.teacher.features(x)[1:]
        for convolution, found, target in zip(self.to_teacher, self.generator.features(x)[1:], wanted, strict=True):
            yield F.mse_loss(convolution(found).float(), target.float())

    def players(self) -> dict[str, nn.Module]:
        """The student with the convolutions of its features, and the discriminator."""
        student = nn.ModuleDict({"generator": self.generator, "to_teacher": self.to_teacher})
        return {"generator": student, "discriminator": self.discriminator}


def _load_teacher(config: Distill.Config, backbones: Backbones) -> Generator:
    """The generator of the teacher, in evaluation mode, without gradients."""
    if not config.teacher:
        raise UsageError(f"distill needs a trained model; give {setting('teacher', 'MODEL')}")
    model = load_model(model_file(config.teacher))
    teacher = model.generators[find_direction(model.generators, model.domains, config.teacher_to)]
    assert isinstance(teacher, Generator)  # of this direction
    found, channels, size = (teacher.in_channels, teacher.out_channels), backbones.channels, backbones.image_size
    if found != channels:
        raise UsageError(
            f"{config.teacher} translates {found[0]} channels to {found[1]}, and {setting('channels', channels)}; use "
            f"{setting('channels', found)}"
        )
    if teacher.latent:
        raise UsageError(f"{config.teacher} takes a latent; distill takes models with one output for an input")
    if size % teacher.multiple or size < teacher.smallest:
        raise UsageError(
            f"{config.teacher} takes images of a multiple of {teacher.multiple} px, at least {teacher.smallest}; use "
            f"{setting('image_size', nearest_size(teacher, size))}"
        )
    return teacher


def _convolutions(student: Generator, teacher: Generator, *, size: int) -> list[nn.Conv2d]:
    """A 1x1 convolution for each feature map of the student, to the channels of the teacher's."""
    shapes = [_shapes_of_features(network, size) for network in (student, teacher)]
    if [shape[1:] for shape in shapes[0]] != [shape[1:] for shape in shapes[1]]:
        raise UsageError(
            f"the features of '{student.spec.name}' and of the teacher, '{teacher.spec.name}', differ in number or "
            f"size; leave them out with {setting('feature_weight', 0)}"
        )
    return [nn.Conv2d(found[0], wanted[0], 1) for found, wanted in zip(*shapes, strict=True)]


@torch.no_grad()
def _shapes_of_features(network: Generator, size: int) -> list[tuple[int, ...]]:
    """(C, H, W) of each feature map but the first, which is the image itself."""
    network = copy.deepcopy(network).eval()  # virtual batch norm keeps the first batch that it sees
    try:
        maps = network.features(torch.zeros(1, network.in_channels, size, size))
    except UsageError:
        raise UsageError(
            f"'{network.spec.name}' has no features to compare; leave them out with {setting('feature_weight', 0)}"
        ) from None
    return [tuple(found.shape[1:]) for found in maps[1:]]
