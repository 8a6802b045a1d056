"""The base classes of networks from a latent to images and back, and the registries that find them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from i2i.registry import Registry
from i2i.spec import Spec

Prior: TypeAlias = Literal["uniform", "normal"]


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


latent_generators: Registry[LatentGenerator] = Registry("latent generator", base=LatentGenerator)
latent_encoders: Registry[LatentEncoder] = Registry("latent encoder", base=LatentEncoder)
