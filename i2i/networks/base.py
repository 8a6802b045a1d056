"""What a generator and a discriminator are, the registries that find them, and the pair that a method builds."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.losses import Logits
from i2i.networks.trial import try_discriminator, try_generator, try_latent_generator
from i2i.networks.unfilled import Unfilled
from i2i.registry import Registry
from i2i.spec import Scalar, Spec

T = TypeVar("T")
MOST_BLOCKS = 1000  # that a network is a row of: more take minutes to build, and then all memory
DEEPEST = 12  # halvings: an image is padded to a multiple of 4096 pixels


class Generator(nn.Module):
    """A map between domains: (N, in_channels, H, W) in [-1, 1] -> (N, out_channels, H, W) in [-1, 1].

    Subclass it, set the sizes in the constructor, and register the class in `generators`.

    Attributes:
        in_channels: channels it takes.
        out_channels: channels it gives.
        multiple: its input's height and width must be multiples of this.
        smallest: and at least this.
        latent: where not 0, it takes as a second argument z (N, latent), drawn from N(0, 1), that chooses among the
            plausible outputs.
        spec: the one string that rebuilds it, defaults written out; set by `build_generator`.
    """

    in_channels: int
    out_channels: int
    multiple: int = 1
    smallest: int = 1
    latent: int = 0
    spec: Spec

    @classmethod
    def sized_for(cls, image_size: int) -> dict[str, Scalar]:  # noqa: ARG003
        """The options that suit a training size in pixels, where they aren't given."""
        return {}

    def stages(self) -> Sequence[nn.Module]:
        """Modules that are `forward` when run one after the other; itself unless a network is made of such a row."""
        return [self]

    def features(self, x: Tensor) -> list[Tensor]:  # noqa: ARG002
        """What its encoder sees in (N, in_channels, H, W), from the image itself to the innermost: (N, C, h, w) each.

        Raises:
            UsageError: it has none to show.
        """
        raise UsageError(f"'{self.spec.name}' has no features to contrast; use --generator resnet or unet")


class LatentGenerator(nn.Module):
    """A map from a latent to images: (N, latent + classes) -> (N, out_channels, image_size, image_size) in [-1, 1].

    The label of an image follows its latent as a one-hot code, where it was trained with labels. Subclass it and
    register the class in `latent_generators`.

    Attributes:
        latent: length of z, drawn from U(-1, 1).
        classes: labels it was trained with; 0 for none.
        out_channels: channels it gives.
        image_size: height and width of what it gives, in pixels.
        spec: the one string that rebuilds it; set by `build_latent_generator`.
    """

    latent: int
    classes: int
    out_channels: int
    image_size: int
    spec: Spec


class Discriminator(nn.Module):
    """A judge of realness: (N, in_channels, H, W) -> logits of any shape, or a list of them, one for each scale.

    Attributes:
        smallest: its input's height and width must be at least this.
        spec: the one string that rebuilds it; set by `build_discriminator`.
    """

    smallest: int = 1
    spec: Spec

    def forward_with_features(self, x: Tensor) -> tuple[Logits, list[Tensor]]:  # noqa: ARG002
        """Judge, and show the activations on the way, for feature matching.

        Raises:
            UsageError: it has none to show.
        """
        raise UsageError(f"'{self.spec.name}' shows no features to match; use --feature-matching 0")


generators: Registry[Generator] = Registry("generator")
latent_generators: Registry[LatentGenerator] = Registry("latent generator")
discriminators: Registry[Discriminator] = Registry("discriminator")


_KINDS: dict[str, type[nn.Module]] = {
    generators.kind: Generator,
    latent_generators.kind: LatentGenerator,
    discriminators.kind: Discriminator,
}


def registry_of(direction: str) -> Registry[Any]:
    """Where the network of a map is registered: `z2b` begins with a latent, `a2b` and `b2a` with an image."""
    return latent_generators if direction.startswith("z") else generators


def build_network(direction: str, spec: Spec | str) -> Generator | LatentGenerator:
    """Build the network of a map from its whole spec; as `build_generator`."""
    return cast("Generator | LatentGenerator", _build(registry_of(direction), spec, {}))


def build_generator(spec: Spec | str, **given: Scalar) -> Generator:
    """Build a generator from its spec; `given` are options the program knows, such as `in_channels`.

    Raises:
        UsageError: the spec names no generator or has an option that doesn't fit; see `Spec.complete`.
    """
    return _build(generators, spec, given)


def build_latent_generator(spec: Spec | str, **given: Scalar) -> LatentGenerator:
    """Build a latent generator from its spec; as `build_generator`."""
    return _build(latent_generators, spec, given)


def build_discriminator(spec: Spec | str, **given: Scalar) -> Discriminator:
    """Build a discriminator from its spec; as `build_generator`."""
    return _build(discriminators, spec, given)


@dataclass(frozen=True)
class Backbones:
    """The networks a run was asked to use; a method builds its players from it.

    Attributes:
        generator_spec: of each generator.
        discriminator_spec: of each discriminator.
        image_size: height and width of a training image, in pixels.
        channels: of domain a and of domain b.
        classes: labels that images come with; 0 for none.
    """

    generator_spec: Spec
    discriminator_spec: Spec
    image_size: int = 256
    channels: tuple[int, int] = (3, 3)
    classes: int = 0

    def generator(self, in_channels: int, out_channels: int, *, latent: int = 0) -> Generator:
        """A fresh generator; with a second argument z of length `latent`, where that isn't 0.

        Raises:
            UsageError: the training size is none that it takes, it has no place for a latent, or it is a plug-in's and
            isn't what a generator is.
        """
        builder = generators[self.generator_spec.name]
        sized_for = getattr(builder, "sized_for", Generator.sized_for)
        given = {k: v for k, v in sized_for(self.image_size).items() if k not in self.generator_spec.options}
        if latent:
            given["latent"] = latent
        given |= {"in_channels": in_channels, "out_channels": out_channels}
        try:
            with torch.device("meta"), Unfilled():  # what doesn't fit may also be too large for the memory
                planned = build_generator(self.generator_spec, **given)
        except UsageError as error:
            raise UsageError(f"{error}{_deepest(self.generator_spec, self.image_size, given)}") from None
        except Exception:  # a plug-in may need values, such as those of a linspace
            planned = build_generator(self.generator_spec, **given)
        if planned.latent != latent:
            raise UsageError(f"'{self.generator_spec.name}' has no place for a latent; use --generator unet")
        _check_size(self.image_size, self.generator_spec, planned, given)
        generator = build_generator(self.generator_spec, **given)
        try_generator(generator, in_channels=in_channels, out_channels=out_channels, image_size=self.image_size)
        return generator

    def latent_generator(self, out_channels: int) -> LatentGenerator:
        """A fresh generator of images from a latent and, where there are classes, a label."""
        given: dict[str, Scalar] = {"image_size": self.image_size, "classes": self.classes}
        generator = build_latent_generator(self.generator_spec, out_channels=out_channels, **given)
        try_latent_generator(generator, out_channels=out_channels, image_size=self.image_size, classes=self.classes)
        return generator

    def discriminator(self, in_channels: int) -> Discriminator:
        """A fresh discriminator.

        Raises:
            UsageError: the training size is too small for it.
        """
        given: dict[str, Scalar] = {"in_channels": in_channels, "image_size": self.image_size}
        discriminator = build_discriminator(self.discriminator_spec, **given)
        if self.image_size < discriminator.smallest:
            raise UsageError(
                f"image size {self.image_size}: '{self.discriminator_spec}' needs {discriminator.smallest} pixels or "
                f"more; use --image-size {discriminator.smallest}, or --discriminator patchgan:layers=1"
            )
        try_discriminator(discriminator, in_channels=in_channels, image_size=self.image_size)
        return discriminator


def _build(registry: Registry[T], spec: Spec | str, given: Mapping[str, Scalar]) -> T:
    whole = (Spec.parse(spec) if isinstance(spec, str) else spec).complete(registry, **given)
    network: Any = whole.build(registry)
    kind = _KINDS[registry.kind]
    if not isinstance(cast(object, network), kind):
        raise UsageError(
            f"{registry.kind} {whole.name!r} builds a plain {type(network).__name__}; make its class a subclass of "
            f"{kind.__module__}.{kind.__name__}, which says what it takes and gives"
        )
    network.spec = whole
    return cast(T, network)


def _check_size(size: int, asked: Spec, generator: Generator, given: Mapping[str, Scalar]) -> None:
    if size % generator.multiple == 0 and size >= generator.smallest:
        return
    fitting = max(round(size / generator.multiple) * generator.multiple, generator.smallest)
    depth = generator.spec.options.get("depth")
    label = Spec(asked.name, {"depth": depth} if depth is not None else {})
    other = "" if asked.name == "resnet" else ", or --generator resnet (a multiple of 4)"
    least = f" of {generator.smallest} or more" if size % generator.multiple == 0 else ""
    raise UsageError(
        f"image size {size}: '{label}' needs a multiple of {generator.multiple}{least}; use {fitting}{other}"
        f"{_deepest(asked, size, given)}"
    )


def _deepest(asked: Spec, size: int, given: Mapping[str, Scalar]) -> str:
    """What to say of the largest depth that fits a training size, where another one was asked for."""
    fitting = 0
    for depth in range(1, DEEPEST + 1) if "depth" in asked.options else ():
        with contextlib.suppress(Exception), torch.device("meta"), Unfilled():
            generator = build_generator(Spec(asked.name, {**asked.options, "depth": depth}), **given)
            if size % generator.multiple == 0 and size >= generator.smallest:
                fitting = depth
    return f"; the largest depth that fits {size} px is {fitting}: {asked.name}:depth={fitting}" if fitting else ""
