"""The base class of methods: the networks of an adversarial game, a step's images, and the losses of its players."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig, check_numbers
from i2i.distributed import all_reduce_mean
from i2i.errors import UsageError, setting
from i2i.methods.adversarial_terms import AdversarialConfig, AdversarialTerms
from i2i.methods.terms import Losses as Losses
from i2i.methods.terms import LossFn as LossFn
from i2i.networks import Backbones, Network
from i2i.networks.virtual_batch_norm import Reference
from i2i.registry import Registry
from i2i.spec import Spec

Batch: TypeAlias = Mapping[str, Tensor]


class Method(nn.Module, ABC):
    """An adversarial game between players on the same images.

    A subclass declares the class variables and `Config`, builds its networks from `Backbones` in the constructor, makes
    the images of a step in `forward`, and returns the loss of each player. A loss updates its own player only:
    `discriminator_loss` takes generated images detached. It has no side effect: what changes between turns, such as an
    image pool, changes in `images_for`.

    Attributes:
        summary: what it is for, in a line, for `i2i train --help`.
        data: what it trains on: pairs, two unpaired sets, or a single one (domain b only).
        of_run: the setting that names a trained model, for methods that need one; the folder of its run may then stand
            for the data. Empty for other methods.
        generator_spec: its default generator.
        discriminator_spec: its default discriminator.
        Images: a NamedTuple of the step's tensors. A field whose name ends in _a or _b is an image of that domain,
            in the order of the sample grid: `fake_b`.
        data_config: how the paper prepares images, as defaults of the command line.
        train_config: how the paper trains, as defaults of the command line.
        presets: other defaults by name, such as `quality`: fields of the method's `Config`, `DataConfig` and
            `TrainConfig`.
        fewest_steps: a run with fewer steps gets a warning. A tenth of the shortest published run, whose source is
            cited beside it; 0 if none is known.
        inversion_advice: what keeps a generator from inverting colours, for the warning about inverted colours.
        generator_first: the generator is updated before the discriminator. Since a step's images are made once, both
            losses then follow from the weights before the step.
    """

    summary: ClassVar[str] = ""
    data: ClassVar[Literal["paired", "unpaired", "single"]]
    of_run: ClassVar[str] = ""
    generator_spec: ClassVar[str]
    discriminator_spec: ClassVar[str]
    Images: ClassVar[type]
    data_config: ClassVar[DataConfig] = DataConfig()
    train_config: ClassVar[TrainConfig] = TrainConfig()
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    fewest_steps: ClassVar[int] = 0
    inversion_advice: ClassVar[str] = ""
    generator_first: ClassVar[bool] = False
    fake_accuracy: Tensor

    @dataclass(frozen=True)
    class Config(AdversarialConfig):
        """Settings that all methods share."""

        discriminator_steps: int = 1
        """Discriminator updates for each generator update (k of Algorithm 1)."""
        max_fake_accuracy: float = 1.0
        """Skip discriminator updates while fake_accuracy, the share of fakes it recognises, is above this; 1: never."""

        def __post_init__(self) -> None:
            check_numbers(self, positive=("discriminator_steps", "max_fake_accuracy"))
            if self.max_fake_accuracy > 1:
                raise UsageError(
                    f"max_fake_accuracy is {self.max_fake_accuracy}; expected a share of images, above 0 and at most 1"
                )
            if self.max_fake_accuracy < 1 and self.adversarial == "wasserstein":
                raise UsageError(
                    "the critic of wasserstein has no decision boundary, and so no fake_accuracy; use "
                    f"{setting('max_fake_accuracy', 1)}"
                )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.terms = AdversarialTerms(config)
        self.register_buffer("fake_accuracy", torch.tensor(0.5))  # a running mean; see `update_metrics`

    @classmethod
    def backbones(
        cls,
        generator: str | None,
        discriminator: str | None,
        *,
        image_size: int,
        channels: tuple[int, int],
        classes: int = 0,
    ) -> Backbones:
        """The networks of a run; options that a spec leaves out are those of the method's default of that name."""
        default_generator, default_discriminator = Spec.parse(cls.generator_spec), Spec.parse(cls.discriminator_spec)
        return Backbones(
            Spec.parse(generator).over(default_generator) if generator else default_generator,
            Spec.parse(discriminator).over(default_discriminator) if discriminator else default_discriminator,
            image_size=image_size,
            channels=channels,
            classes=classes,
        )

    @abstractmethod
    def forward(self, batch: Batch) -> Any:
        """Make the step's `Images`, once, from `batch["a"]` and `batch["b"]`, each (N, C, H, W) in [-1, 1]."""

    def preview(self, batch: Batch) -> Any:
        """The images of a sample grid, in evaluation mode: a NamedTuple with names as in `Images`."""
        return self(batch)

    @abstractmethod
    def discriminator_loss(self, images: Any) -> Losses:
        """Named, already weighted scalar terms whose sum the discriminator minimises."""

    @abstractmethod
    def generator_loss(self, images: Any) -> Losses:
        """Named, already weighted scalar terms whose sum the generator minimises."""

    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Each player and its networks, which only its loss updates."""

    @abstractmethod
    def generators(self) -> Mapping[str, Network]:
        """The networks that the model file holds, by direction: `a2b`, `b2a`; `z2b` from a latent, `b2z` to one."""

    def needs_reference_batch(self) -> bool:
        """Whether a network keeps its first input as the reference batch of virtual batch norm."""
        return any(isinstance(module, Reference) for module in self.modules())

    @torch.no_grad()
    def update_metrics(self, metrics: Mapping[str, Tensor]) -> None:
        """Update the running mean `fake_accuracy` with the metrics of a loss; the trainer calls this after each loss.

        It decides whether the discriminator is updated (`max_fake_accuracy`), and is then averaged over the ranks.
        """
        for name, value in metrics.items():
            if name.startswith("fake_accuracy"):
                share = all_reduce_mean(value.clone()) if self.config.max_fake_accuracy < 1 else value
                self.fake_accuracy.lerp_(share.to(self.fake_accuracy), 0.1)

    def turns(self, step: int) -> Iterator[tuple[str, LossFn]]:
        """The players that a step updates, in order, each with its loss.

        The discriminator is updated in every step unless it is too far ahead (`discriminator_moves`), the generator in
        every k-th (`generator_moves`). A turn is decided on when the one before it is over.

        Args:
            step: the steps done so far: 0 in the first.
        """
        if self.generator_first and self.generator_moves(step):
            yield "generator", self.generator_loss
        if self.discriminator_moves():
            yield "discriminator", self.discriminator_loss
        if not self.generator_first and self.generator_moves(step):
            yield "generator", self.generator_loss

    def images_for(self, player: str, images: Any) -> Any:  # noqa: ARG002
        """The images that a player's loss takes, called once before it: the step's, or with older fakes from a pool."""
        return images

    def discriminator_moves(self) -> bool:
        """Whether `fake_accuracy` is at most `max_fake_accuracy`."""
        return self.config.max_fake_accuracy >= 1 or float(self.fake_accuracy) <= self.config.max_fake_accuracy

    def generator_moves(self, step: int) -> bool:
        """Whether this step, from 0, is the last of k discriminator updates (Goodfellow et al. 2014, alg. 1)."""
        return (step + 1) % self.config.discriminator_steps == 0


methods: Registry[Method] = Registry("method")
