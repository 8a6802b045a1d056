"""SimGAN's networks: a refiner with a small receptive field, and a discriminator of local regions."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import MAX_BLOCKS, Discriminator, Generator, Logits, discriminators, generators
from i2i.networks.layers import Residual


@generators.register("refiner")
class Refiner(Generator):
    """Shrivastava et al. 2017, sec. 3.1 and fig. 6: c3-64, R64 x blocks, c1-1, tanh; nothing is ever downsampled.

    A block is two 3x3 convolutions and a ReLU after the sum. With 4 blocks (0.296 M parameters on grey images at
    width 64) the receptive field is 19 x 19, so that annotations of the input stay valid. Reflection padding, no
    normalisation.
    """

    def __init__(self, in_channels: int, out_channels: int, *, blocks: int = 4, width: int = 64) -> None:
        super().__init__()
        if not 1 <= blocks <= MAX_BLOCKS or width < 1:
            raise UsageError(f"refiner needs blocks from 1 to {MAX_BLOCKS} and width >= 1")
        self.smallest = 2  # an image one pixel wide has nothing to reflect
        layers: list[nn.Module] = [*_convolution(in_channels, width), nn.ReLU()]
        for _ in range(blocks):
            branch = nn.Sequential(*_convolution(width, width), nn.ReLU(), *_convolution(width, width))
            layers += [Residual(branch), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, out_channels, 1), nn.Tanh())
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Refine (N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]."""
        result: Tensor = self.layers(x)
        return result


@discriminators.register("local")
class LocalDiscriminator(Discriminator):
    """Shrivastava et al. 2017, sec. 3.1: c3-96 and c3-64 at stride 2, max-pooling 3 at stride 1, c3-32, c1-32, c1.

    Its receptive field is 23 x 23, about that of the refiner (0.076 M parameters on grey images). The
    paper's last layer has two maps and a softmax across them. Here it is one map of logits, the difference of those
    two: softmax (u, v) gives u the probability sigmoid (u - v), so that both losses are the same. `width` is that of
    the first layer; the others keep their ratio to it.
    """

    def __init__(self, in_channels: int, *, width: int = 96) -> None:
        super().__init__()
        if width < 1:
            raise UsageError("local needs width >= 1")
        second, third = max(1, round(width * 2 / 3)), max(1, round(width / 3))
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(third, third, 1),
            nn.ReLU(),
            nn.Conv2d(third, 1, 1),
        )
        _initialize(self)

    def forward(self, x: Tensor) -> Logits:
        """Logits (N, 1, H / 4, W / 4), rounded up, of images (N, in_channels, H, W)."""
        return self.forward_with_features(x)[0]

    def forward_with_features(self, x: Tensor) -> tuple[Logits, list[Tensor]]:
        """Logits, and the activations of each convolution but the last."""
        activations: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                activations.append(x)
        return x, activations


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3)]


def _initialize(network: nn.Module) -> None:
    """Weights as in Glorot and Bengio 2010, and in published implementations; the paper states none.

    Without normalisation, a refiner with weights from N(0, 0.02) would output grey for a long time.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
