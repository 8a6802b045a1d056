"""The base classes of generators of images from images and of discriminators, and the registries that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.registry import Registry
from i2i.spec import Scalar, Spec

Logits: TypeAlias = Tensor | Sequence[Tensor]
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


generators: Registry[Generator] = Registry("generator", base=Generator)
discriminators: Registry[Discriminator] = Registry("discriminator", base=Discriminator)
