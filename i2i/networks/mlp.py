"""The fully connected generator and discriminator of Goodfellow et al. 2014."""

from __future__ import annotations

import itertools
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from i2i.errors import UsageError
from i2i.networks.base import Discriminator, discriminators
from i2i.networks.latent import LatentGenerator, latent_generators
from i2i.networks.layers import (
    Dropout,
    LatentNorm,
    MinibatchDiscrimination,
    normalize_units,
)

LinearInit: TypeAlias = Literal["torch", "uniform"]


@latent_generators.register("mlp")
class MLPGenerator(LatentGenerator):
    """Goodfellow et al. 2014, sec. 5: fully connected layers with ReLU; its code has two of 1200 units for digits.

    `init=uniform` is that code's initialisation: weights from U(-0.05, 0.05), biases 0; `torch` is PyTorch's.

    Differs from the paper: tanh to [-1, 1] where its code has a sigmoid to [0, 1], whose bias starts at the mean image;
    z is drawn from U(-1, 1), there from U(-sqrt 3, sqrt 3). Its code trains with
    SGD, learning rate 0.1, momentum 0.5 and batch size 100; the momentum rises to 0.7 and the rate falls slowly.
    """

    def __init__(
        self,
        out_channels: int,
        image_size: int,
        *,
        latent: int = 100,
        width: int = 1200,
        layers: int = 2,
        classes: int = 0,
        norm: LatentNorm = None,
        init: LinearInit = "torch",
    ) -> None:
        super().__init__()
        if min(latent, width, layers, image_size) < 1 or layers > 100:
            raise UsageError("mlp needs latent and width >= 1, and layers from 1 to 100")
        widths = [latent + classes, *[width] * layers]
        hidden: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            hidden += [nn.Linear(before, after), normalize_units(norm, after), nn.ReLU()]
        self.layers = nn.Sequential(
            *hidden,
            nn.Linear(width, out_channels * image_size**2),
            nn.Tanh(),
            nn.Unflatten(1, (out_channels, image_size, image_size)),
        )
        if init == "uniform":
            _initialize_uniform(self, 0.05)

    def forward(self, z: Tensor) -> Tensor:
        """Generate from (N, latent + classes): (N, out_channels, image_size, image_size) in [-1, 1]."""
        result: Tensor = self.layers(z)
        return result


@discriminators.register("mlp")
class MLPDiscriminator(Discriminator):
    """Goodfellow et al. 2014, sec. 5: fully connected maxout layers with dropout: two of 240 x 5 pieces.

    `dropout` is that of each layer's output, `input_dropout` that of the image. `init=uniform` draws weights from
    U(-0.005, 0.005), biases are 0; `torch` is PyTorch's initialisation.

    Differs from the paper: its code, which trains on digits, is `mlp:input_dropout=0.2,init=uniform`; here both are off
    unless asked for.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        *,
        width: int = 240,
        pieces: int = 5,
        layers: int = 2,
        dropout: float = 0.5,
        minibatch: int = 0,
        spectral: bool = False,
        input_dropout: float = 0.0,
        init: LinearInit = "torch",
    ) -> None:
        super().__init__()
        if min(width, pieces, layers) < 1 or minibatch < 0 or not (0 <= dropout < 1 and 0 <= input_dropout < 1):
            raise UsageError(
                "mlp needs width, pieces and layers >= 1, minibatch >= 0, 0 <= dropout < 1 and 0 <= input_dropout < 1"
            )
        self.smallest = image_size
        widths = [in_channels * image_size**2, *[width] * layers]
        self.input_dropout = Dropout(input_dropout, at_inference=False, seed=0) if input_dropout else nn.Identity()
        self.layers = nn.ModuleList(
            nn.Sequential(Maxout(before, after, pieces), Dropout(dropout, at_inference=False, seed=0))
            for before, after in itertools.pairwise(widths)
        )
        compare = MinibatchDiscrimination(width, minibatch) if minibatch else nn.Identity()
        self.head = nn.Sequential(compare, nn.Linear(width + minibatch, 1))
        if init == "uniform":
            _initialize_uniform(self, 0.005)
        if spectral:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    spectral_norm(module)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 1) of images (N, in_channels, image_size, image_size)."""
        return self.forward_with_features(x)[0]

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the activations of each layer."""
        activations, x = [], self.input_dropout(x.flatten(1))
        for layer in self.layers:
            x = layer(x)
            activations.append(x)
        return self.head(x), activations


class Maxout(nn.Module):
    """The largest of several linear maps, unit by unit (Goodfellow et al. 2013, eq. 1)."""

    def __init__(self, before: int, after: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(before, after * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, before) to (N, after)."""
        pieces: Tensor = self.linear(x).unflatten(1, (-1, self.pieces))
        return pieces.amax(2)


def _initialize_uniform(network: nn.Module, bound: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
