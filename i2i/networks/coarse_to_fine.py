"""The coarse-to-fine generator of pix2pixHD: a global network at a lower resolution, and enhancers around it."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import MAX_BLOCKS, MAX_DEPTH, Generator, generators
from i2i.networks.layers import (
    GeneratorNorm,
    NormAtInference,
    Up,
    initialize,
    needs_bias,
    normalize,
    residual,
    upsample,
)


@generators.register("coarse_to_fine")
class CoarseToFine(Generator):
    """Wang et al. 2018, sec. 3.2 and appendix: a global generator inside local enhancers, level inside level.

    The global generator, c7s1-64, d128, d256, d512, d1024, R1024 x blocks, u512, u256, u128, u64, has `depth`
    halvings. Each enhancer doubles the resolution with half the width, c7s1-32, d64, R64 x enhancer_blocks, u32; its
    features at d64 are added to the last features of the network inside. The outermost level ends in c7s1-3. Reflection
    padding. 182.443 M parameters without an enhancer, 182.702 M with one, in the order of the reference code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        blocks: int = 9,
        width: int = 64,
        depth: int = 4,
        enhancers: int = 1,
        enhancer_blocks: int = 3,
        norm: GeneratorNorm = "instance",
        up: Up = "transposed",
        spectral: bool = False,
        norm_at_inference: NormAtInference = "sample",
    ) -> None:
        super().__init__()
        if (
            min(blocks, width, depth, enhancer_blocks) < 1
            or max(blocks, enhancer_blocks) > MAX_BLOCKS
            or enhancers < 0
            or depth + enhancers > MAX_DEPTH
            or width % 2**enhancers
        ):
            raise UsageError(
                f"coarse_to_fine needs blocks and enhancer_blocks from 1 to {MAX_BLOCKS}, depth >= 1, enhancers >= 0, "
                f"depth + enhancers <= {MAX_DEPTH}, and a width that can be halved for each enhancer"
            )
        self.multiple = 2 ** (depth + enhancers)
        # The innermost map needs two pixels a side, for reflection padding and for a variance.
        self.smallest = 2 * self.multiple
        level = partial(_Level, in_channels, norm=norm, up=up, norm_at_inference=norm_at_inference)
        self.levels = nn.ModuleList([level(width, depth=depth, blocks=blocks)])
        for _ in range(enhancers):
            width //= 2
            self.levels.append(level(width, depth=1, blocks=enhancer_blocks))
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh())
        initialize(self, spectral=spectral)

    def forward(self, x: Tensor) -> Tensor:
        """Translate (N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]."""
        images = [x]
        for _ in range(len(self.levels) - 1):
            images.append(F.avg_pool2d(images[-1], 3, stride=2, padding=1, count_include_pad=False))
        inner: Tensor | None = None
        for level, image in zip(self.levels, reversed(images), strict=True):
            inner = level(image, inner)
        result: Tensor = self.last(inner)
        return result


class _Level(nn.Module):
    """Downsampling layers, residual blocks, upsampling layers; the inner network's features join before the blocks."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        depth: int,
        blocks: int,
        norm: GeneratorNorm,
        up: Up,
        norm_at_inference: NormAtInference,
    ) -> None:
        super().__init__()
        bias = needs_bias(norm)

        def activated(channels: int) -> list[nn.Module]:
            return [normalize(norm, channels, at_inference=norm_at_inference), nn.ReLU(inplace=norm is not None)]

        widths = [width * 2**halvings for halvings in range(depth + 1)]
        encode = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7, bias=bias), *activated(width)]
        for wide in widths[:-1]:
            encode += [nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1, bias=bias), *activated(2 * wide)]
        decode: list[nn.Module] = [
            residual(widths[-1], norm=norm, norm_at_inference=norm_at_inference) for _ in range(blocks)
        ]
        for wide in reversed(widths[:-1]):
            decode += [upsample(up, 2 * wide, wide, kernel=3, bias=bias), *activated(wide)]
        self.encode, self.decode = nn.Sequential(*encode), nn.Sequential(*decode)

    def forward(self, x: Tensor, inner: Tensor | None) -> Tensor:
        """An image (N, in_channels, H, W), and the inner network's (N, 2 width, H / 2, W / 2): (N, width, H, W)."""
        y: Tensor = self.encode(x)
        result: Tensor = self.decode(y if inner is None else y + inner)
        return result
