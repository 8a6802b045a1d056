"""The base classes of generators and discriminators, and the registries that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.registry import Registry
from i2i.spec import Scalar, Spec

Logits: TypeAlias = Tensor | Sequence[Tensor]
Prior: TypeAlias = Literal["uniform", "normal"]
MAX_BLOCKS = 1000  # of a network: more take minutes to build, and then all memory
MAX_DEPTH = 12  # halvings: an image is padded to a multiple of 4096 pixels


class Generator(nn.Module):
    """A map between domains: (N, in_channels, H, W) in [-1, 1] -> (N, out_channels, H, W) in [-1, 1].

    Subclass it and register the class in `generators`. Where the constructor doesn't set in_channels, out_channels
    or latent, they are taken from its options of these names when the network is built; the weights start as the
    constructor leaves them.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output.
        multiple: its input's height and width must be multiples of this,
        smallest: and at least this.
        latent: length of the second argument z (N, latent) from N(0, 1), which chooses among the plausible outputs;
            0 where it takes none.
        spec: the one string that rebuilds it, defaults written out; set when it is built.
    """

    in_channels: int
    out_channels: int
    multiple: int = 1
    smallest: int = 1
    latent: int = 0
    spec: Spec

    @classmethod
    def sized_for(cls, image_size: int) -> dict[str, Scalar]:  # noqa: ARG003
        """Options that suit a training size in pixels, where they aren't given."""
        return {}

    def stages(self) -> Sequence[nn.Module]:
        """Modules that compute `forward` when run one after the other; itself unless it is a sequence of modules."""
        return [self]

    def features(self, x: Tensor) -> list[Tensor]:  # noqa: ARG002
        """The encoder's feature maps of x (N, in_channels, H, W), x itself first: (N, C, h, w) each.

        Raises:
            UsageError: this backbone doesn't return any.
        """
        raise UsageError(f"'{self.spec.name}' has no features to contrast; use {setting('generator', 'resnet')}")


class LatentGenerator(nn.Module):
    """A map from a latent to images: (N, latent + classes) -> (N, out_channels, image_size, image_size) in [-1, 1].

    The label of an image follows its latent as a one-hot code, if it is trained with labels. Subclass it and register
    the class in `latent_generators`. Where the constructor doesn't set the first four attributes, they are taken from
    its options of these names when the network is built.

    Attributes:
        latent: length of z.
        classes: number of labels it is trained with; 0 for none.
        out_channels: channels of the output.
        image_size: height and width of the output, in pixels.
        prior: what z is drawn from: `uniform`, U(-1, 1), or `normal`, N(0, 1).
        spec: the one string that rebuilds it; set when it is built.
    """

    latent: int
    classes: int = 0
    out_channels: int
    image_size: int
    prior: Prior = "uniform"
    spec: Spec

    def draw(self, count: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents from the prior: (count, latent) in float32, on the CPU."""
        draw = torch.randn if self.prior == "normal" else torch.rand
        drawn: Tensor = draw(count, self.latent, generator=generator, dtype=torch.float32, device="cpu")
        return drawn if self.prior == "normal" else drawn * 2 - 1

    def code(self, z: Tensor) -> Tensor:
        """What editing moves in place of z (N, latent + classes): z itself, or what a flow makes of it."""
        return z

    def decode(self, code: Tensor) -> Tensor:
        """The images of codes."""
        images: Tensor = self(code)
        return images


class LatentEncoder(nn.Module):
    """A map from images to latents: (N, in_channels, image_size, image_size) in [-1, 1] -> (N, latent).

    Subclass it and register the class in `latent_encoders`. Where the constructor doesn't set the attributes, they are
    taken from its options of these names when the network is built.

    Attributes:
        latent: length of z.
        in_channels: channels of the input.
        image_size: height and width of the input, in pixels.
        spec: the one string that rebuilds it; set when it is built.
    """

    latent: int
    in_channels: int
    image_size: int
    spec: Spec


class Discriminator(nn.Module):
    """Tells real images from generated ones: (N, in_channels, H, W) -> logits of any shape, or a list, one per scale.

    Attributes:
        smallest: its input's height and width must be at least this.
        spec: the one string that rebuilds it; set when it is built.
    """

    smallest: int = 1
    spec: Spec

    def forward_with_features(self, x: Tensor) -> tuple[Logits, list[Tensor]]:  # noqa: ARG002
        """The logits and the activations of each layer, for feature matching.

        Raises:
            UsageError: this backbone doesn't return any.
        """
        raise UsageError(f"'{self.spec.name}' has no features to match; use {setting('feature_matching', 0)}")


Network: TypeAlias = Generator | LatentGenerator | LatentEncoder

generators: Registry[Generator] = Registry("generator", base=Generator)
latent_generators: Registry[LatentGenerator] = Registry("latent generator", base=LatentGenerator)
latent_encoders: Registry[LatentEncoder] = Registry("latent encoder", base=LatentEncoder)
discriminators: Registry[Discriminator] = Registry("discriminator", base=Discriminator)


def registry_of(direction: str) -> Registry[Any]:
    """Where the network of a direction is registered: `z2b` from a latent, `b2z` to one, `a2b` and `b2a` of images."""
    if direction.endswith("z"):
        return latent_encoders
    return latent_generators if direction.startswith("z") else generators
