"""IAN, the introspective adversarial network: its decoder, its encoder, and its discriminator, which share a trunk."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import Discriminator, discriminators
from i2i.networks.dcgan import START, DCGANGenerator, convolutions, halvings_of
from i2i.networks.latent import LatentEncoder, LatentGenerator, latent_encoders, latent_generators
from i2i.networks.layers import LatentNorm, MinibatchDiscrimination, initialize, normalize, precise

_UNITS = 1000  # of the layer between the trunk and the latents


@latent_generators.register("ian")
class IANDecoder(LatentGenerator):
    """Brock et al. 2016, sec. 3, as in its code: an inverse autoregressive flow, then transposed convolutions.

    For 64 px and width 128: z 100 -> flow -> 512 x 4 x 4 -> 512 -> 256 -> 128 -> 128 channels, doubled each time by
    5x5, with a multiscale dilated convolution block after each but the last; then RGB-Beta.

    Differs from the paper's code: the flow starts near the identity and is trained, where that of the code is random
    and fixed.
    """

    prior = "normal"

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
        doublings = halvings_of(image_size, "ian")
        if latent < 2 or width < 1:
            raise UsageError("ian needs latent >= 2 and width >= 1")
        self.latent = latent
        widths = [width * 2 ** max(doublings - 2 - level, 0) for level in range(doublings)]
        self.flow = InverseAutoregressiveFlow(latent)
        layers: list[nn.Module] = [
            nn.Linear(latent + classes, widths[0] * START**2),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (widths[0], START, START)),
        ]
        for level, (before, after) in enumerate(itertools.pairwise([widths[0], *widths])):
            last = level == doublings - 1
            layers.append(
                nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1, bias=not (last and norm))
            )
            if not last:
                layers.append(MultiscaleBlock(after, (0, 2) if level == 0 else (0, 2, 3), norm=norm))
        layers += [normalize(norm, widths[-1], at_inference="running"), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.colours = BetaColours(widths[-1], out_channels)
        initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        """Generate from (N, latent + classes): (N, out_channels, image_size, image_size) in [-1, 1]."""
        return self.decode(self.code(z))

    def code(self, z: Tensor) -> Tensor:
        """The latents (N, latent + classes) after the flow."""
        return torch.cat([self.flow(z[:, : self.latent]), z[:, self.latent :]], dim=1)

    def decode(self, code: Tensor) -> Tensor:
        """Generate from latents after the flow."""
        result: Tensor = self.colours(self.layers(code))
        return result


@latent_generators.register("ian_simple")
class SimpleIANDecoder(DCGANGenerator):
    """The decoder of Brock et al. 2016's `IAN_simple`: DCGAN's generator, with a prior of N(0, 1)."""

    prior = "normal"


@latent_encoders.register("ian")
class IANEncoder(LatentEncoder):
    """Brock et al. 2016, sec. 3, as in its code: the discriminator's trunk, 1000 units, and the latents' distribution.

    Attributes:
        trunk: shared with the discriminator in training.
        head: the layers after it.
    """

    def __init__(self, in_channels: int, image_size: int, *, latent: int = 100, width: int = 128) -> None:
        super().__init__()
        self.trunk = Trunk(in_channels, image_size, width)
        self.head = LatentHead(self.trunk.channels[-1] * START**2, latent)

    def forward(self, x: Tensor) -> Tensor:
        """The mean latents of (N, in_channels, image_size, image_size) in [-1, 1]: (N, latent)."""
        mean: Tensor = self.head(self.trunk(x)[-1])[0]
        return mean


@discriminators.register("ian")
class IANDiscriminator(Discriminator):
    """Brock et al. 2016, sec. 3.1, as in its code: trunk, global pooling, minibatch discrimination, a linear layer.

    `answers=3` tells real images, reconstructions and samples apart; `answers=1`, as in `IAN_simple`, real images from
    all others.
    """

    def __init__(
        self, in_channels: int, image_size: int, *, width: int = 128, minibatch: int = 500, answers: int = 3
    ) -> None:
        super().__init__()
        if minibatch < 0 or answers not in (1, 3):
            raise UsageError("ian needs minibatch >= 0, and answers of 1 or 3")
        self.smallest = image_size
        self.answers = answers
        self.trunk = Trunk(in_channels, image_size, width)
        units = self.trunk.channels[-1]
        self.compare = MinibatchDiscrimination(units, minibatch) if minibatch else nn.Identity()
        self.answer = nn.Linear(units + minibatch, answers, bias=False)
        initialize(self.compare)
        initialize(self.answer)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, answers) of images (N, in_channels, image_size, image_size)."""
        return self.forward_with_features(x)[0]

    def forward_with_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the activations of the trunk's convolutions."""
        activations = self.trunk(x)
        return self.answer(self.compare(activations[-1].mean((2, 3)))), activations


class Trunk(nn.Module):
    """5x5 convolutions of stride 2 down to 4 x 4, LeakyReLU 0.2, batch norm from the second on.

    Attributes:
        channels: of each layer.
    """

    def __init__(self, in_channels: int, image_size: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise UsageError("ian needs width >= 1")
        halvings = halvings_of(image_size, "ian")
        self.channels = [width * 2**level for level in range(halvings)]
        self.layers = nn.ModuleList(convolutions(in_channels, halvings, width, "batch", first_bias=True))
        initialize(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The activations of each layer for images (N, in_channels, image_size, image_size)."""
        activations = []
        for layer in self.layers:
            x = layer(x)
            activations.append(x)
        return activations


class LatentHead(nn.Module):
    """The mean and the log standard deviation of the latents, from the trunk's last activations."""

    def __init__(self, units: int, latent: int) -> None:
        super().__init__()
        if latent < 2:
            raise UsageError("ian needs latent >= 2")
        self.hidden = nn.Sequential(nn.Linear(units, _UNITS, bias=False), nn.BatchNorm1d(_UNITS), nn.ReLU())
        initialize(self)
        self.mean, self.log_deviation = _latents(latent), _latents(latent)

    def forward(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, 4, 4) to (N, latent) each."""
        hidden = self.hidden(activations.flatten(1))
        return precise(self.mean(hidden)), precise(self.log_deviation(hidden))


def _latents(latent: int) -> nn.Module:
    linear = nn.Linear(_UNITS, latent, bias=False)
    nn.init.xavier_uniform_(linear.weight)
    return nn.Sequential(linear, nn.BatchNorm1d(latent))


class MultiscaleConv(nn.Module):
    """A multiscale dilated convolution: one 3x3 kernel at several dilations, each scaled by a gain for every filter.

    Source: Brock et al. 2016, sec. 3.2. Dilation 1 is always among them; 0 stands for a 1x1 convolution with the mean
    of the kernel. The gains start at the reciprocal of the number of dilations.
    """

    def __init__(self, in_channels: int, out_channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.dilations = (1, *dilations)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.gains = nn.Parameter(torch.empty(len(self.dilations), out_channels))
        nn.init.normal_(self.weight, 0.0, 0.02)
        nn.init.constant_(self.gains, 1 / len(self.dilations))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        convolved = []
        for dilation, gain in zip(self.dilations, self.gains, strict=True):
            weight = self.weight if dilation else self.weight.mean((2, 3), keepdim=True)
            weight = weight * gain[:, None, None, None]
            convolved.append(F.conv2d(x, weight, padding=dilation, dilation=max(dilation, 1)))
        return torch.stack(convolved).sum(0)


class MultiscaleBlock(nn.Module):
    """Brock et al. 2016, sec. 3.2: a pre-activation residual block of two multiscale convolutions, then norm and ReLU.

    Its code activates the sum too.
    """

    def __init__(self, channels: int, dilations: Sequence[int], *, norm: LatentNorm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [normalize(norm, channels, at_inference="running"), nn.LeakyReLU(0.2)]
            layers.append(MultiscaleConv(channels, channels, dilations))
        self.branch = nn.Sequential(*layers)
        self.after = nn.Sequential(normalize(norm, channels, at_inference="running"), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape, (N, channels, H, W)."""
        result: Tensor = self.after(x + self.branch(x))
        return result


class BetaColours(nn.Module):
    """RGB-Beta: each channel is the mean of a beta distribution, whose parameters depend on the channels before it.

    Source: Brock et al. 2016, sec. 3.3. Red: alpha and beta are the sigmoid of a multiscale convolution of the
    features; green: also of red's parameters; blue: also of both.
    """

    _DILATIONS = (2, 3, 4)

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.of_features = nn.ModuleList(MultiscaleConv(in_channels, 2, self._DILATIONS) for _ in range(out_channels))
        self.of_channels = nn.ModuleList(
            MultiscaleConv(2 * channel, 2, self._DILATIONS) for channel in range(1, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) to images (N, out_channels, H, W) in [-1, 1]."""
        parameters: list[Tensor] = []
        for channel, layer in enumerate(self.of_features):
            total = layer(x)
            if channel:
                total = total + self.of_channels[channel - 1](torch.cat(parameters, dim=1))
            parameters.append(torch.sigmoid(precise(total)))
        alpha, beta = torch.stack(parameters, dim=1).unbind(2)
        return 2 * alpha / (alpha + beta + 1e-8) - 1


class InverseAutoregressiveFlow(nn.Module):
    """z -> (z - m(z)) / exp(s(z)) with two MADEs m and s, as in Kingma et al. 2016, eq. 10."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        order = torch.randperm(latent)
        degrees = torch.randint(0, latent - 1, (latent,))
        self.mean, self.log_scale = MADE(order, degrees), MADE(order, degrees)

    def forward(self, z: Tensor) -> Tensor:
        """Keep the shape, (N, latent)."""
        result: Tensor = (z - self.mean(z)) * torch.exp(-self.log_scale(z))
        return result


class MADE(nn.Module):
    """A masked autoencoder: output i depends on the inputs before i, in a given order, alone (Germain et al. 2015).

    One hidden layer with ReLU, and direct connections.

    Args:
        order: the rank of each input, (Z,), from 0.
        degrees: the highest rank that each hidden unit sees, (H,).
    """

    def __init__(self, order: Tensor, degrees: Tensor) -> None:
        super().__init__()
        self.inner = MaskedLinear(order <= degrees[:, None])
        self.outer = MaskedLinear(degrees < order[:, None])
        self.direct = MaskedLinear(order < order[:, None])

    def forward(self, z: Tensor) -> Tensor:
        """Keep the shape, (N, Z)."""
        result: Tensor = self.outer(F.relu(self.inner(z))) + self.direct(z)
        return result


class MaskedLinear(nn.Linear):
    """A linear layer without the connections where `mask`, (outputs, inputs), is false."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, outputs)."""
        return F.linear(x, self.weight * self.mask, self.bias)
