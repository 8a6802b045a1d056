"""The ResNet generator of CycleGAN: two downsampling layers, residual blocks, two upsampling layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import MAX_BLOCKS, Generator, generators
from i2i.networks.layers import (
    Blur,
    Down,
    Dropout,
    GeneratorNorm,
    Init,
    NormAtInference,
    Residual,
    Up,
    initialize,
    needs_bias,
    normalize,
    residual,
    upsample,
)
from i2i.spec import Scalar


@generators.register("resnet")
class ResNet(Generator):
    """Zhu et al. 2017, sec. 7.2: c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3; reflection padding.

    9 blocks (11.378 M parameters at width 64), 6 for 128 px and less unless given. The order of the weights is that of
    the reference code. `down=blur,up=bilinear` resamples without aliasing, as CUT's does.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        blocks: int = 9,
        width: int = 64,
        norm: GeneratorNorm = "instance",
        dropout: float = 0.0,
        down: Down = "strided",
        up: Up = "transposed",
        spectral: bool = False,
        init: Init = "normal",
        norm_at_inference: NormAtInference = "sample",
        dropout_at_inference: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= blocks <= MAX_BLOCKS or width < 1 or not 0 <= dropout < 1:
            raise UsageError(f"resnet needs blocks from 1 to {MAX_BLOCKS}, width >= 1 and 0 <= dropout < 1")
        self.multiple, self.smallest = 4, 8
        bias = needs_bias(norm)

        def normed(channels: int) -> nn.Module:
            return normalize(norm, channels, at_inference=norm_at_inference)

        def relu() -> nn.Module:
            return nn.ReLU(inplace=norm is not None)  # without a norm, `features` keeps the input

        def block(seed: int) -> Residual:
            drop = Dropout(dropout, at_inference=dropout_at_inference, seed=seed) if dropout else None
            return residual(4 * width, norm=norm, norm_at_inference=norm_at_inference, dropout=drop)

        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7, bias=bias)]
        layers += [normed(width), relu()]
        self._feature_layers = []
        for channels in (width, 2 * width):
            self._feature_layers.append(len(layers))
            stride = 2 if down == "strided" else 1
            layers += [nn.Conv2d(channels, 2 * channels, 3, stride=stride, padding=1, bias=bias)]
            layers += [normed(2 * channels), relu(), *([Blur()] if down == "blur" else [])]
        self._feature_layers += [len(layers), len(layers) + min(4, blocks - 1)]
        layers += [block(seed) for seed in range(blocks)]
        for channels in (4 * width, 2 * width):
            layers += [upsample(up, channels, channels // 2, kernel=3, bias=bias), normed(channels // 2), relu()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize(self, spectral=spectral, init=init)

    @classmethod
    def sized_for(cls, image_size: int) -> dict[str, Scalar]:
        """6 blocks up to 128 px, 9 above (Zhu et al. 2017, sec. 7.2)."""
        return {"blocks": 6 if image_size <= 128 else 9}

    def forward(self, x: Tensor) -> Tensor:
        """Translate (N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]."""
        result: Tensor = self.layers(x)
        return result

    def stages(self) -> Sequence[nn.Module]:
        """The layers."""
        return list(self.layers)

    def features(self, x: Tensor) -> list[Tensor]:
        """The image, both downsampling convolutions, and the first and the fifth residual block (Park et al. 2020)."""
        maps = [x]
        for index, layer in enumerate(self.layers[: self._feature_layers[-1] + 1]):
            x = layer(x)
            maps += [x] * self._feature_layers.count(index)
        return maps
