"""What a generator and a discriminator are, the registries that find them, and the pair that an objective builds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from i2i.errors import UsageError
from i2i.registry import Registry, Scalar, Spec


class Generator(nn.Module):
    """A map between domains: (N, in_channels, H, W) in [-1, 1] -> (N, out_channels, H, W) in [-1, 1].

    Subclass it, set the four sizes in the constructor, and register the class in `generators`.

    Attributes:
        in_channels: channels it takes.
        out_channels: channels it gives.
        multiple: its input's height and width must be multiples of this.
        smallest: and at least this.
        spec: the one string that rebuilds it, defaults written out; set by `build_generator`.
    """

    in_channels: int
    out_channels: int
    multiple: int = 1
    smallest: int = 1
    spec: Spec

    @classmethod
    def sized_for(cls, image_size: int) -> dict[str, Scalar]:  # noqa: ARG003
        """The options that suit a training size in pixels, where they aren't given."""
        return {}


class Discriminator(nn.Module):
    """A judge of realness: (N, in_channels, H, W) -> logits of any shape, or a list of them, one for each scale.

    Attributes:
        smallest: its input's height and width must be at least this.
        spec: the one string that rebuilds it; set by `build_discriminator`.
    """

    smallest: int = 1
    spec: Spec


generators: Registry[Generator] = Registry("generator")
discriminators: Registry[Discriminator] = Registry("discriminator")


def build_generator(spec: Spec | str, **given: Scalar) -> Generator:
    """Build a generator from its spec; `given` are options the program knows, such as `in_channels`.

    Raises:
        UsageError: the spec names no generator or has an option that doesn't fit; see `Spec.complete`.
    """
    whole = (Spec.parse(spec) if isinstance(spec, str) else spec).complete(generators, **given)
    generator = whole.build(generators)
    generator.spec = whole
    return generator


def build_discriminator(spec: Spec | str, **given: Scalar) -> Discriminator:
    """Build a discriminator from its spec; as `build_generator`."""
    whole = (Spec.parse(spec) if isinstance(spec, str) else spec).complete(discriminators, **given)
    discriminator = whole.build(discriminators)
    discriminator.spec = whole
    return discriminator


@dataclass(frozen=True)
class Backbones:
    """The networks a run was asked to use; an objective builds its players from it.

    Attributes:
        generator_spec: of each generator.
        discriminator_spec: of each discriminator.
        image_size: height and width of a training picture, in pixels.
        channels: of domain a and of domain b.
    """

    generator_spec: Spec
    discriminator_spec: Spec
    image_size: int = 256
    channels: tuple[int, int] = (3, 3)

    def generator(self, in_channels: int, out_channels: int) -> Generator:
        """A fresh generator.

        Raises:
            UsageError: the training size is none that it takes.
        """
        builder = generators[self.generator_spec.name]
        sized_for = getattr(builder, "sized_for", Generator.sized_for)
        sizes = {k: v for k, v in sized_for(self.image_size).items() if k not in self.generator_spec.options}
        generator = build_generator(self.generator_spec, in_channels=in_channels, out_channels=out_channels, **sizes)
        _check_size(self.image_size, self.generator_spec, generator)
        return generator

    def discriminator(self, in_channels: int) -> Discriminator:
        """A fresh discriminator.

        Raises:
            UsageError: the training size is too small for it.
        """
        discriminator = build_discriminator(self.discriminator_spec, in_channels=in_channels)
        if self.image_size < discriminator.smallest:
            raise UsageError(
                f"image size {self.image_size}: '{self.discriminator_spec}' needs {discriminator.smallest} pixels or "
                f"more; use --image-size {discriminator.smallest}, or --discriminator patchgan:layers=1"
            )
        return discriminator


def _check_size(size: int, asked: Spec, generator: Generator) -> None:
    if size % generator.multiple == 0 and size >= generator.smallest:
        return
    fitting = max(round(size / generator.multiple) * generator.multiple, generator.smallest)
    depth = generator.spec.options.get("depth")
    label = Spec(asked.name, {"depth": depth} if depth is not None else {})
    other = "" if asked.name == "resnet" else ", or --generator resnet (a multiple of 4)"
    raise UsageError(f"image size {size}: '{label}' needs a multiple of {generator.multiple}; use {fitting}{other}")
