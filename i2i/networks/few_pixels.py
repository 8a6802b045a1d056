"""Convolutions that compute feature maps of few pixels as products of matrices.

On a CPU, PyTorch rearranges the weights of a convolution at every call. In the innermost layers of a U-Net, whose
weights are many and whose pixels are few, that takes several times as long as the convolution itself. A product with
the weights as they lie in memory gives the same result but for rounding.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Break-even on one and two cores, in pixels of a batch: of a convolution's output, and of a transposed one's input.
_FEW, _FEW_TRANSPOSED = 64, 256
_FEW_CHANNELS, _MOST_PIXELS = 4, 2**16  # of a transposed convolution to an image, whose product is small


class Conv2d(nn.Conv2d):
    """A convolution without groups and dilation, zero-padded."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        return convolve(x, self.weight, self.bias, stride=self.stride[0], padding=cast(int, self.padding[0]))


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution without groups and dilation."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        if output_size is not None:
            return super().forward(x, output_size)
        return transposed(
            x,
            self.weight,
            self.bias,
            stride=self.stride[0],
            padding=cast(int, self.padding[0]),
            output_padding=self.output_padding[0],
        )


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int = 1, padding: int = 0) -> Tensor:
    """As `F.conv2d` with a square kernel."""
    kernel = weight.shape[2]
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:])
    if not _as_matrix(x, height * width, _FEW):
        return F.conv2d(x, weight, bias, stride, padding)
    patches = F.unfold(x, kernel, padding=padding, stride=stride)
    return _with_bias((weight.flatten(1) @ patches).view(len(x), -1, height, width), bias)


def transposed(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int, padding: int, output_padding: int = 0
) -> Tensor:
    """As `F.conv_transpose2d` with a square kernel."""
    few = _MOST_PIXELS if weight.shape[1] <= _FEW_CHANNELS else _FEW_TRANSPOSED
    if not _as_matrix(x, x.shape[2] * x.shape[3], few):
        return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding)
    kernel = weight.shape[2]
    height, width = ((side - 1) * stride - 2 * padding + kernel + output_padding for side in x.shape[2:])
    patches = weight.flatten(1).t() @ x.flatten(2)
    return _with_bias(F.fold(patches, (height, width), kernel, padding=padding, stride=stride), bias)


def _as_matrix(x: Tensor, pixels: int, few: int) -> bool:
    # An exported network takes images of any size, so that its layers can't depend on the size of the example.
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
    return x.is_cpu and not traced and x.shape[0] * pixels <= few


def _with_bias(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias.to(x.dtype)[:, None, None]
