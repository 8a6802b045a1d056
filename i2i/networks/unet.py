"""The U-Net of pix2pix: an encoder, a mirrored decoder, and a skip from each level to its mirror."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import MAX_DEPTH, Generator, generators
from i2i.networks.few_pixels import Conv2d
from i2i.networks.layers import (
    Dropout,
    GeneratorNorm,
    Init,
    NormAtInference,
    Up,
    initialize,
    needs_bias,
    normalize,
    upsample,
)
from i2i.networks.recompute import Block
from i2i.spec import Scalar

Where: TypeAlias = Literal["input", "all"]
DropoutLayers: TypeAlias = Literal["paper", "code"]


@generators.register("unet")
class UNet(Generator):
    """Isola et al. 2017, sec. 6.1.1: C64-C128-C256-C512 x5 down, mirrored up, 4x4 kernels of stride 2.

    `depth` halvings: 8 is the paper's network for 256 px (54.414 M parameters at width 64), 7 the one for 128 px. The
    first three decoder layers have dropout. The order of the weights is that of the reference code. A latent is
    concatenated to the image alone, or with `where=all` to the input of every layer of the encoder (Zhu et al. 2017b,
    fig. 3).

    Differs from the paper's PyTorch code: that has dropout in the decoder layers 2 to 4 (2 and 3 at depth 7), as
    `dropout_layers=code` has.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 8,
        width: int = 64,
        norm: GeneratorNorm = "batch",
        dropout: float = 0.5,
        up: Up = "transposed",
        latent: int = 0,
        spectral: bool = False,
        norm_at_inference: NormAtInference = "sample",
        dropout_at_inference: bool = True,
        where: Where = "input",
        init: Init = "normal",
        dropout_layers: DropoutLayers = "paper",
    ) -> None:
        super().__init__()
        if not 2 <= depth <= MAX_DEPTH or width < 1 or latent < 0 or not 0 <= dropout < 1:
            raise UsageError(f"unet needs depth from 2 to {MAX_DEPTH}, width >= 1, latent >= 0 and 0 <= dropout < 1")
        if norm == "virtual" and latent:
            raise UsageError("norm=virtual takes no latent; use norm=instance or norm=batch")
        self.where = where
        self.multiple = self.smallest = 2**depth
        widths = [width * min(2**level, 8) for level in range(depth)]
        bias = needs_bias(norm)

        self.down = nn.ModuleList()
        for level in range(depth):
            layers: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(0.2)]
            # No norm after the first convolution, nor after the innermost, whose map may be a single pixel.
            inner = 0 < level < depth - 1
            taken = widths[level - 1] if level else in_channels
            taken += latent if level == 0 or where == "all" else 0
            layers.append(Conv2d(taken, widths[level], 4, stride=2, padding=1, bias=bias))
            if inner:
                layers.append(normalize(norm, widths[level], at_inference=norm_at_inference))
            self.down.append(Block(*layers))

        dropped = range(3) if dropout_layers == "paper" else range(1, depth - 4)
        self.up = nn.ModuleList()
        for index, level in enumerate(range(depth - 1, 0, -1)):
            taken = widths[level] * (1 if index == 0 else 2)
            layers = [nn.ReLU(inplace=index > 0), upsample(up, taken, widths[level - 1], kernel=4, bias=bias)]
            layers.append(normalize(norm, widths[level - 1], at_inference=norm_at_inference))
            if index in dropped and dropout > 0:
                layers.append(Dropout(dropout, at_inference=dropout_at_inference, seed=index))
            self.up.append(Block(*layers))
        last = upsample(up, 2 * width, out_channels, kernel=4, bias=True)
        self.up.append(Block(nn.ReLU(inplace=True), last, nn.Tanh()))
        initialize(self, spectral=spectral, init=init)

    @classmethod
    def sized_for(cls, image_size: int) -> dict[str, Scalar]:
        """The largest depth from 4 to 8 that fits this size; a size that fits none is refused."""
        fitting = [depth for depth in range(4, 9) if image_size % 2**depth == 0]
        return {"depth": max(fitting)} if fitting else {}

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate (N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]; z is (N, latent)."""
        skips = self._encode(x, z)
        x = self.up[0](skips.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([skips.pop(), x], dim=1))
        return x

    def features(self, x: Tensor) -> list[Tensor]:
        """The image and the first four levels of the encoder."""
        return [x, *self._encode(x, levels=4)]

    def _encode(self, x: Tensor, z: Tensor | None = None, *, levels: int | None = None) -> list[Tensor]:
        maps = []
        for level, down in enumerate(list(self.down)[:levels]):
            x = down(x if z is None or (level and self.where == "input") else _concatenate(x, z))
            maps.append(x)
        return maps


def _concatenate(x: Tensor, z: Tensor) -> Tensor:
    """A feature map (N, C, H, W) with each value of a latent as a constant channel: (N, C + Z, H, W).

    Instance norm removes what is constant over a channel, and most of the latent with it; no norm follows the first
    convolution nor the innermost one.
    """
    return torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)], dim=1)
