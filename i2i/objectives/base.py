"""What an objective is: the networks of one game, the images of a step, and what each player minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from torch import Tensor, nn

from i2i.config import check_numbers
from i2i.errors import UsageError
from i2i.losses import AdversarialLoss, Kind
from i2i.networks import Backbones, Generator
from i2i.registry import Registry, Spec

Batch: TypeAlias = Mapping[str, Tensor]
Losses: TypeAlias = dict[str, Tensor]
LossFn: TypeAlias = Callable[[Any], Losses]


class Objective(nn.Module, ABC):
    """A game between players on one set of images.

    A subclass declares the class variables and `Config`, builds its networks from `Backbones` in the constructor, and
    says how a step's images are made and what each player minimises. `discriminator_loss` uses generated images
    detached: each player's loss moves that player alone.

    Attributes:
        data: what it learns from: pairs, or two unpaired sets.
        generator_spec: the backbone of its generators where none is asked for.
        discriminator_spec: the same for its discriminators.
        Images: a NamedTuple of the step's tensors, in the order of the sample grid. A field's last letter is its
            domain: `fake_b`.
    """

    data: ClassVar[Literal["paired", "unpaired"]]
    generator_spec: ClassVar[str]
    discriminator_spec: ClassVar[str]
    Images: ClassVar[type]

    @dataclass(frozen=True)
    class Config:
        """The knobs that every adversarial method has."""

        adversarial: Kind = "non_saturating"
        """The adversarial loss."""
        real_label: float = 1.0
        """The discriminator's target on real pictures; 0.9 is one-sided label smoothing."""
        gradient_penalty: float = 0.0
        """Weight of the gradient penalty: 10 for wasserstein, with a discriminator without batch norm."""
        discriminator_steps: int = 1
        """Discriminator updates for each generator update (k of Algorithm 1)."""

        def __post_init__(self) -> None:
            check_numbers(self, positive=("discriminator_steps",))

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        try:
            self.adversarial = AdversarialLoss(config.adversarial, real_label=config.real_label)
        except ValueError as error:
            raise UsageError(str(error)) from None

    @classmethod
    def backbones(
        cls, generator: str | None, discriminator: str | None, *, image_size: int, channels: tuple[int, int]
    ) -> Backbones:
        """The networks that a run asks for; what a spec leaves out is as in the method's own of that name."""
        return Backbones(
            _over(generator, cls.generator_spec),
            _over(discriminator, cls.discriminator_spec),
            image_size=image_size,
            channels=channels,
        )

    @abstractmethod
    def forward(self, batch: Batch) -> Any:
        """Make the step's `Images`, once, from `batch["a"]` and `batch["b"]`, each (N, C, H, W) in [-1, 1]."""

    @abstractmethod
    def discriminator_loss(self, images: Any) -> Losses:
        """Named, already weighted scalar terms whose sum the discriminator minimises."""

    @abstractmethod
    def generator_loss(self, images: Any) -> Losses:
        """Named, already weighted scalar terms whose sum the generator minimises."""

    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Each player and the networks that it alone moves."""

    @abstractmethod
    def maps(self) -> dict[str, Generator]:
        """The networks worth keeping: `a2b`, and `b2a` where there is one."""

    def turns(self, step: int) -> Iterator[tuple[str, LossFn]]:
        """Who moves in a step, counted from 1: the discriminator always, the generator every k-th step."""
        yield "discriminator", self.discriminator_loss
        if self.generator_moves(step):
            yield "generator", self.generator_loss

    def generator_moves(self, step: int) -> bool:
        """Whether the k discriminator updates that precede a generator update are done (Algorithm 1)."""
        return step % self.config.discriminator_steps == 0


objectives: Registry[Objective] = Registry("method")


def _over(asked: str | None, own: str) -> Spec:
    default = Spec.parse(own)
    wanted = Spec.parse(asked) if asked else default
    return Spec(wanted.name, {**default.options, **wanted.options}) if wanted.name == default.name else wanted
