"""Build networks from their specs, for a run's images or from a model file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import nn

from i2i.errors import UsageError, setting
from i2i.networks.base import MAX_DEPTH, Discriminator, Generator, discriminators, generators
from i2i.networks.contract import check_discriminator, check_generator, check_latent_generator
from i2i.networks.latent import LatentEncoder, LatentGenerator, latent_encoders, latent_generators
from i2i.networks.skip_init import SkipInit
from i2i.networks.virtual_batch_norm import hold_reference
from i2i.registry import Registry
from i2i.spec import Scalar, Spec

T = TypeVar("T", bound=nn.Module)
Network: TypeAlias = Generator | LatentGenerator | LatentEncoder  # what a model file holds


def registry_of(direction: str) -> Registry[Any]:
    """Where the network of a direction is registered: `z2b` from a latent, `b2z` to one, `a2b` and `b2a` of images."""
    if direction.endswith("z"):
        return latent_encoders
    return latent_generators if direction.startswith("z") else generators


def build_network(direction: str, spec: Spec | str) -> Network:
    """Build the network of a direction from its complete spec; as `build_generator`."""
    return cast(Network, _build(registry_of(direction), spec, {}))


def build_generator(spec: Spec | str, **given: Scalar) -> Generator:
    """Build a generator from its spec; `given` are options the program knows, such as `in_channels`.

    Raises:
        UsageError: the spec names no generator or has an option that doesn't fit (see `Spec.complete`), or the class
            leaves an attribute unset that a generator declares.
    """
    return _build(generators, spec, given)


def build_latent_generator(spec: Spec | str, **given: Scalar) -> LatentGenerator:
    """Build a latent generator from its spec; as `build_generator`."""
    return _build(latent_generators, spec, given)


def build_latent_encoder(spec: Spec | str, **given: Scalar) -> LatentEncoder:
    """Build a latent encoder from its spec; as `build_generator`."""
    return _build(latent_encoders, spec, given)


def build_discriminator(spec: Spec | str, **given: Scalar) -> Discriminator:
    """Build a discriminator from its spec; as `build_generator`."""
    return _build(discriminators, spec, given)


@dataclass(frozen=True)
class Backbones:
    """The backbones a run was asked to use; a method builds its networks from it.

    Attributes:
        generator_spec: of each generator.
        discriminator_spec: of each discriminator.
        image_size: height and width of a training image, in pixels.
        channels: of domain a and of domain b.
        classes: number of labels that images come with; 0 for none.
    """

    generator_spec: Spec
    discriminator_spec: Spec
    image_size: int = 256
    channels: tuple[int, int] = (3, 3)
    classes: int = 0

    def generator(self, in_channels: int, out_channels: int, *, latent: int = 0) -> Generator:
        """A new generator; with a second argument z of length `latent` unless that is 0.

        Raises:
            UsageError: it doesn't take the training size or a latent, or a plug-in's breaks the contract.
        """
        builder = generators[self.generator_spec.name]
        sized_for = getattr(builder, "sized_for", Generator.sized_for)
        given = {k: v for k, v in sized_for(self.image_size).items() if k not in self.generator_spec.options}
        if latent:
            given["latent"] = latent
        given |= {"in_channels": in_channels, "out_channels": out_channels}
        try:
            with torch.device("meta"), SkipInit():  # what doesn't fit may also be too large for the memory
                planned = build_generator(self.generator_spec, **given)
        except UsageError as error:
            raise UsageError(f"{error.args[0]}{_suggest_depth(self.generator_spec, self.image_size, given)}") from None
        except Exception:  # a plug-in may need values, such as those of a linspace
            planned = build_generator(self.generator_spec, **given)
        if planned.latent != latent:
            raise UsageError(f"'{self.generator_spec.name}' takes no latent; use {setting('generator', 'unet')}")
        _check_size(self.image_size, self.generator_spec, planned, given)
        generator = build_generator(self.generator_spec, **given)
        check_generator(generator, in_channels=in_channels, out_channels=out_channels, image_size=self.image_size)
        return generator

    def latent_generator(self, out_channels: int) -> LatentGenerator:
        """A new generator of images from a latent and, where there are classes, a label.

        Raises:
            UsageError: it doesn't give the training size, or a plug-in's breaks the contract.
        """
        given: dict[str, Scalar] = {"image_size": self.image_size, "classes": self.classes}
        generator = build_latent_generator(self.generator_spec, out_channels=out_channels, **given)
        check_latent_generator(generator, out_channels=out_channels, image_size=self.image_size, classes=self.classes)
        return generator

    def discriminator(self, in_channels: int) -> Discriminator:
        """A new discriminator.

        Raises:
            UsageError: the training size is too small for it, or a plug-in's breaks the contract.
        """
        given: dict[str, Scalar] = {"in_channels": in_channels, "image_size": self.image_size}
        discriminator = build_discriminator(self.discriminator_spec, **given)
        if self.image_size < discriminator.smallest:
            raise UsageError(
                f"image size {self.image_size}: '{self.discriminator_spec}' needs {discriminator.smallest} pixels or "
                f"more; use {setting('image_size', discriminator.smallest)}, or "
                f"{setting('discriminator', 'patchgan:layers=1')}"
            )
        check_discriminator(discriminator, in_channels=in_channels, image_size=self.image_size)
        return discriminator


# What a network declares about itself and a plug-in may leave to its options.
_DECLARED = {
    generators.kind: ("in_channels", "out_channels", "latent"),
    latent_generators.kind: ("latent", "classes", "out_channels", "image_size"),
    latent_encoders.kind: ("latent", "in_channels", "image_size"),
    discriminators.kind: (),
}


def _build(registry: Registry[T], spec: Spec | str, given: Mapping[str, Scalar]) -> T:
    whole = (Spec.parse(spec) if isinstance(spec, str) else spec).complete(registry, **given)
    network = whole.build(registry)
    registry.check(whole.name, type(network))
    cast(Any, network).spec = whole
    hold_reference(network)
    for name in _DECLARED[registry.kind]:
        if name not in vars(network) and getattr(network, name, None) == getattr(registry.base, name, None):
            _take_from_options(network, name, registry, whole)
    return network


def _take_from_options(network: nn.Module, name: str, registry: Registry[T], whole: Spec) -> None:
    if name in whole.options:
        setattr(network, name, whole.options[name])
    elif not hasattr(network, name):
        raise UsageError(
            f"{registry.kind} {whole.name!r} ({type(network).__name__}) has no {name}; give its constructor that "
            f"option, or set self.{name} there"
        )


def nearest_size(generator: Generator, size: int) -> int:
    """The height and width nearest to `size`, in pixels, that a generator takes."""
    return max(round(size / generator.multiple) * generator.multiple, generator.smallest)


def _check_size(size: int, asked: Spec, generator: Generator, given: Mapping[str, Scalar]) -> None:
    if size % generator.multiple == 0 and size >= generator.smallest:
        return
    fitting = nearest_size(generator, size)
    depth = generator.spec.options.get("depth")
    label = Spec(asked.name, {"depth": depth} if depth is not None else {})
    resnet = "" if asked.name == "resnet" else f", or {setting('generator', 'resnet')} (a multiple of 4)"
    least = f" of {generator.smallest} or more" if size % generator.multiple == 0 else ""
    raise UsageError(
        f"image size {size}: '{label}' needs a multiple of {generator.multiple}{least}; use "
        f"{setting('image_size', fitting)}{resnet}{_suggest_depth(asked, size, given)}"
    )


def _suggest_depth(asked: Spec, size: int, given: Mapping[str, Scalar]) -> str:
    """The end of a message: the largest depth that fits a training size, if a depth was asked for."""
    fitting = 0
    for depth in range(1, MAX_DEPTH + 1) if "depth" in asked.options else ():
        with contextlib.suppress(Exception), torch.device("meta"), SkipInit():
            generator = build_generator(Spec(asked.name, {**asked.options, "depth": depth}), **given)
            if size % generator.multiple == 0 and size >= generator.smallest:
                fitting = depth
    return f"; the largest depth that fits {size} px is {fitting}: {asked.name}:depth={fitting}" if fitting else ""
