"""DCGAN: a generator of images from a latent, and its discriminator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.networks.base import Discriminator, discriminators
from i2i.networks.latent import LatentEncoder, LatentGenerator, Prior, latent_encoders, latent_generators
from i2i.networks.layers import (
    LatentNorm,
    MinibatchDiscrimination,
    Norm,
    initialize,
    normalize,
    normalize_units,
)

START = 4  # height and width, in pixels, of the first feature map of the generator and the last of the discriminator


@latent_generators.register("dcgan")
class DCGANGenerator(LatentGenerator):
    """Radford et al. 2016, as in its code: a linear layer to 4 x 4, then 5x5 transposed convolutions of stride 2.

    For 64 px and width 128: z 100 -> 1024 x 4 x 4 -> 512 -> 256 -> 128 -> image, batch norm and ReLU between, tanh
    last, no biases. At inference batch norm uses the running averages.
    """

    def __init__(
        self,
        out_channels: int,
        image_size: int,
        *,
        latent: int = 100,
        width: int = 128,
        classes: int = 0,
        norm: LatentNorm = "batch",
    ) -> None:
        super().__init__()
        doublings = halvings_of(image_size, "dcgan")
        if latent < 1 or width < 1:
            raise UsageError("dcgan needs latent >= 1 and width >= 1")
        widths = [width * 2 ** (doublings - 1 - level) for level in range(doublings)]
        units = widths[0] * START**2
        layers: list[nn.Module] = [
            nn.Linear(latent + classes, units, bias=False),
            normalize_units(norm, units),
            nn.ReLU(),
            nn.Unflatten(1, (widths[0], START, START)),
        ]
        for before, after in itertools.pairwise(widths):
            layers += [_double(before, after), normalize(norm, after, at_inference="running"), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _double(widths[-1], out_channels), nn.Tanh())
        initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        """Generate from (N, latent + classes): (N, out_channels, image_size, image_size) in [-1, 1]."""
        result: Tensor = self.layers(z)
        return result


@discriminators.register("dcgan")
class DCGANDiscriminator(Discriminator):
    """Radford et al. 2016, as in its code: 5x5 convolutions of stride 2 down to 4 x 4, then a linear layer.

    For 64 px: width 128 -> 256 -> 512 -> 1024, LeakyReLU 0.2, batch norm from the second on, no biases. `minibatch`
    kernels of minibatch discrimination compare the images of a batch (Salimans et al. 2016, sec. 3.2).
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        *,
        width: int = 128,
        norm: Norm = "batch",
        minibatch: int = 0,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        halvings = halvings_of(image_size, "dcgan")
        if width < 1 or minibatch < 0:
            raise UsageError("dcgan needs width >= 1 and minibatch >= 0")
        self.smallest = image_size
        self.layers = nn.ModuleList(convolutions(in_channels, halvings, width, norm))
        units = width * 2 ** (halvings - 1) * START**2
        compare = MinibatchDiscrimination(units, minibatch) if minibatch else nn.Identity()
        self.head = nn.Sequential(nn.Flatten(), compare, nn.Linear(units + minibatch, 1, bias=False))
        initialize(self, spectral=spectral)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 1) of images (N, in_channels, image_size, image_size)."""
        return self.forward_with_features(x)[0]

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the activations of each convolution."""
        activations = []
        for layer in self.layers:
            x = layer(x)
            activations.append(x)
        return self.head(x), activations


@latent_encoders.register("dcgan")
class DCGANEncoder(LatentEncoder):
    """Zhu et al. 2016, sec. 3.2, as in its code: DCGAN's discriminator with an output for each latent.

    `prior` is that of the generator's latents; those from U(-1, 1) come out of a tanh.
    """

    def __init__(
        self, in_channels: int, image_size: int, *, latent: int = 100, width: int = 128, prior: Prior = "uniform"
    ) -> None:
        super().__init__()
        halvings = halvings_of(image_size, "dcgan")
        if latent < 1 or width < 1:
            raise UsageError("dcgan needs latent >= 1 and width >= 1")
        self.layers = nn.Sequential(
            *convolutions(in_channels, halvings, width, "batch"),
            nn.Flatten(),
            nn.Linear(width * 2 ** (halvings - 1) * START**2, latent),
            nn.Tanh() if prior == "uniform" else nn.Identity(),
        )
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """The latents of (N, in_channels, image_size, image_size) in [-1, 1]: (N, latent)."""
        latents: Tensor = self.layers(x)
        return latents


def convolutions(
    in_channels: int, halvings: int, width: int, norm: Norm, *, first_bias: bool = False
) -> Iterator[nn.Module]:
    """5x5 convolutions of stride 2 with LeakyReLU 0.2, each with twice the channels; a norm from the second on."""
    channels = [in_channels, *(width * 2**level for level in range(halvings))]
    for level, (before, after) in enumerate(itertools.pairwise(channels)):
        bias = first_bias and level == 0
        convolution = nn.Conv2d(before, after, 5, stride=2, padding=2, bias=bias)
        normed = normalize(norm if level else None, after, at_inference="running")
        yield nn.Sequential(convolution, normed, nn.LeakyReLU(0.2))


def _double(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1, bias=False)


def halvings_of(image_size: int, name: str) -> int:
    """How often an image is halved until it is 4 x 4.

    Raises:
        UsageError: it never is; `name` is that of the network.
    """
    halvings = (image_size // START).bit_length() - 1
    if halvings < 1 or image_size != START * 2**halvings:
        raise UsageError(
            f"image size {image_size}: '{name}' needs 8, 16, 32, 64, 128 or 256; use {setting('image_size', 64)}"
        )
    return halvings
