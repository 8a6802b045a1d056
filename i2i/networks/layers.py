"""Layers that several backbones share, and the initialisation of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from i2i.networks.few_pixels import ConvTranspose2d, convolve, transposed
from i2i.networks.recompute import Recomputable
from i2i.networks.virtual_batch_norm import VirtualBatchNorm

Norm: TypeAlias = Literal["batch", "instance"] | None
GeneratorNorm: TypeAlias = Literal["batch", "instance", "virtual"] | None
LatentNorm: TypeAlias = Literal["batch", "virtual"] | None  # an instance of (N, units) has nothing to average
NormAtInference: TypeAlias = Literal["sample", "running"]
Down: TypeAlias = Literal["strided", "blur"]
Up: TypeAlias = Literal["transposed", "resize", "bilinear", "shuffle"]
Init: TypeAlias = Literal["normal", "xavier"]

_PATTERN = 32  # height and width of a dropout mask at inference before it repeats
_FEW_PIXELS = 512  # of a batch: the break-even of `ResizeConv` on one and two CPU cores, with 64 to 512 channels


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation with a stated behaviour at inference.

    `sample`: each image is normalised by its own statistics, as pix2pix does at batch size 1 (Isola et al. 2017,
    sec. 3.4: "batch size 1 is instance normalisation"); an image's result depends on no other image.
    `running`: by the running averages of training, as is usual for larger batches.
    """

    def __init__(self, channels: int, *, at_inference: NormAtInference) -> None:
        super().__init__(channels)
        self.at_inference = at_inference

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if self.training or self.at_inference == "running":
            return super().forward(x)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


class Dropout(nn.Module):
    """Dropout with a stated behaviour at inference: off, or on, the only noise of pix2pix (Isola et al. 2017, sec.
    2.1).

    At inference the mask is drawn from `seed` and is the same for every image, so that an image's translation is the
    same alone, in a batch, and on every device. It is a pattern that repeats, so that one drawing is enough for images
    of every size, in an exported file too.
    """

    def __init__(self, p: float, *, at_inference: bool, seed: int) -> None:
        super().__init__()
        self.p, self.at_inference, self.seed = p, at_inference, seed
        self._patterns: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of (N, C, H, W) or (N, C)."""
        if not self.p or not (self.training or self.at_inference):
            return x
        if self.training:
            return x * self.mask(x).div_(1 - self.p)
        return self.dropped(x, self.kept(x.shape[1:]).to(x.device))

    def mask(self, x: Tensor) -> Tensor:
        """Which entries of a batch are kept in training: 1 or 0 each, of its shape."""
        return x.new_empty(x.shape).bernoulli_(1 - self.p)

    def kept(self, shape: Sequence[int]) -> Tensor:
        """A mask of the entries of (C, H, W) or (C,) that are kept at inference."""
        channels, *sides = shape
        kept = self._pattern(int(channels), len(sides))  # a tensor where the network is traced
        for axis, side in enumerate(sides, start=1):
            kept = kept.index_select(axis, torch.arange(side) % _PATTERN)
        return kept

    def _pattern(self, channels: int, dimensions: int) -> Tensor:
        if (channels, dimensions) not in self._patterns:
            seeded = torch.Generator().manual_seed(self.seed)
            draw = torch.rand(channels, *[_PATTERN] * dimensions, generator=seeded, dtype=torch.float32)
            self._patterns[channels, dimensions] = draw >= self.p
        return self._patterns[channels, dimensions]

    def dropped(self, x: Tensor, kept: Tensor) -> Tensor:
        """Set the other entries of (N, C, H, W) to 0 and scale to keep the mean."""
        return x * (kept.to(x.dtype) / (1 - self.p))

    def extra_repr(self) -> str:
        """Options in `print(network)`."""
        return f"p={self.p}, at_inference={self.at_inference}"


class Blur(nn.Module):
    """Downsample by 2 after a binomial filter (1, 2, 1), against aliasing.

    Source: Zhang 2019, "Making convolutional networks shift-invariant again", sec. 3.2.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        binomial = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("weights", binomial[:, None] * binomial, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / 2, W / 2), rounded up."""
        channels = int(x.shape[1])  # a tensor where the network is traced
        weights = self.weights.to(x.dtype).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weights, stride=2, groups=channels)


class MinibatchDiscrimination(nn.Module):
    """Minibatch discrimination: append to each sample its closeness to the other samples of the batch.

    Source: Salimans et al. 2016, sec. 3.2: with M = x T, o_b(x_i) is the sum over the other j of
    exp(-|M_ib - M_jb|), the L1 norm over `dimensions`.

    Differs from the paper: a sample's closeness to itself, which is always 1, is left out, as in the authors' code. T
    is the paper's plain tensor; that code scales it per kernel, adds a bias, and initialises both on the first batch.
    """

    def __init__(self, features: int, kernels: int, *, dimensions: int = 5) -> None:
        super().__init__()
        self.tensor = nn.Linear(features, kernels * dimensions, bias=False)
        self.dimensions = dimensions

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) to (N, features + kernels)."""
        compared = self.tensor(x).float().unflatten(1, (-1, self.dimensions))
        distances = (compared[:, None] - self.batch(compared)[None]).abs().sum(3)
        closeness = torch.exp(-distances).sum(1) - 1  # but for itself, at distance 0
        return torch.cat([x, closeness.to(x.dtype)], dim=1)

    def batch(self, compared: Tensor) -> Tensor:
        """The samples that each sample is compared with: those of its batch."""
        return compared


def precise(x: Tensor) -> Tensor:
    """In float32 at least, also under autocast."""
    return x if x.dtype == torch.double else x.float()


def normalize(norm: GeneratorNorm, channels: int, *, at_inference: NormAtInference = "sample") -> nn.Module:
    """The normalisation layer of a backbone; `instance` has no affine parameters, as in the papers' code."""
    if norm == "batch":
        return BatchNorm(channels, at_inference=at_inference)
    if norm == "virtual":
        return VirtualBatchNorm(channels)
    return nn.InstanceNorm2d(channels) if norm == "instance" else nn.Identity()


def needs_bias(norm: GeneratorNorm) -> bool:
    """Whether a convolution before this normalisation has a bias: not where the norm has a shift."""
    return norm not in ("batch", "virtual")


class Residual(Recomputable):
    """x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def compute(self, x: Tensor) -> Tensor:
        """Keep the shape, (N, C, H, W)."""
        result: Tensor = x + self.branch(x)
        return result


def residual(
    channels: int, *, norm: GeneratorNorm, norm_at_inference: NormAtInference, dropout: nn.Module | None = None
) -> Residual:
    """R: two 3x3 convolutions with reflection padding, and dropout between them if given.

    Source: Johnson et al. 2016, appendix; Zhu et al. 2017, sec. 7.2.
    """

    def convolution() -> list[nn.Module]:
        normed = normalize(norm, channels, at_inference=norm_at_inference)
        return [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), normed]

    relu = nn.ReLU(inplace=norm is not None)
    middle: list[nn.Module] = [relu] if dropout is None else [relu, dropout]
    return Residual(nn.Sequential(*convolution(), *middle, *convolution()))


class SubPixelConv(nn.Conv2d):
    """A 3x3 convolution to four times the channels, which a pixel shuffle then arranges as 2x2 pixels each.

    Source: Shi et al. 2016, sec. 3.2. `initialize` gives the four the same weights, so that they start without a
    checkerboard (Aitken et al. 2017, "ICNR").
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, 4 * out_channels, 3, padding=1, bias=bias)


class ResizeConv(nn.Sequential):
    """Repeat each pixel 2x2, then convolve 3x3, computed as one transposed convolution with 4/9 of the multiplications.

    A pixel's four copies meet each weight in a 2x2 box of outputs, so that the 4x4 kernel of stride 2 is the 3x3 kernel
    summed over 2x2 boxes. The weights are those of the two layers, and the result is theirs but for rounding. Of few
    pixels, the two layers take less time than summing the kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        repeat, convolution = nn.Upsample(scale_factor=2), nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        super().__init__(repeat, convolution)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, 2 H, 2 W)."""
        repeat, convolution = self
        assert isinstance(convolution, nn.Conv2d)
        if x.shape[0] * x.shape[2] * x.shape[3] < _FEW_PIXELS:
            return convolve(repeat(x), convolution.weight, convolution.bias, padding=1)
        return transposed(x, self.kernel(), convolution.bias, stride=2, padding=1)

    def kernel(self) -> Tensor:
        """The kernel of the transposed convolution, (in_channels, out_channels, 4, 4)."""
        _, convolution = self
        assert isinstance(convolution, nn.Conv2d)
        framed = F.pad(convolution.weight.flip(2, 3), (1, 1, 1, 1))
        rows = framed[:, :, :-1] + framed[:, :, 1:]
        return (rows[..., :-1] + rows[..., 1:]).transpose(0, 1)

    def folded(self) -> ConvTranspose2d:
        """The transposed convolution alone, for inference."""
        _, convolution = self
        assert isinstance(convolution, nn.Conv2d)
        layer = ConvTranspose2d(convolution.in_channels, convolution.out_channels, 4, 2, 1, bias=False)
        layer.weight, layer.bias = nn.Parameter(self.kernel().detach().clone()), convolution.bias
        return layer


def upsample(up: Up, in_channels: int, out_channels: int, *, kernel: Literal[3, 4], bias: bool) -> nn.Module:
    """Double height and width: by a transposed convolution, or in a way that favours no checkerboards.

    Source: Odena et al. 2016, "Deconvolution and checkerboard artifacts", for `resize`, which repeats pixels;
    `bilinear` is its anti-aliased form (Zhang 2019), as CUT has it; `shuffle` is a sub-pixel convolution.
    """
    if up == "resize":
        return ResizeConv(in_channels, out_channels, bias=bias)
    if up == "shuffle":
        return nn.Sequential(SubPixelConv(in_channels, out_channels, bias=bias), nn.PixelShuffle(2))
    if up == "bilinear":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        )
    return ConvTranspose2d(in_channels, out_channels, kernel, stride=2, padding=1, output_padding=4 - kernel, bias=bias)


def initialize(network: nn.Module, *, spectral: bool = False, init: Init = "normal") -> None:
    """Weights from N(0, 0.02), gains from N(1, 0.02), biases 0 (Isola et al. 2017, sec. 6.2); then spectral norm.

    `xavier` draws weights as in Glorot and Bengio 2010, with gain 0.02, as CUT does. `spectral` puts spectral
    normalisation (Miyato et al. 2018) on every convolution and linear layer.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if init == "xavier":
                nn.init.xavier_normal_(module.weight, gain=0.02)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)
            if isinstance(module, SubPixelConv):
                module.weight.data.copy_(module.weight.data[::4].repeat_interleave(4, dim=0))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if spectral:
                spectral_norm(module)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm | VirtualBatchNorm):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def normalize_units(norm: LatentNorm, units: int) -> nn.Module:
    """The normalisation layer of (N, units)."""
    if norm == "batch":
        return nn.BatchNorm1d(units)
    return VirtualBatchNorm(units) if norm == "virtual" else nn.Identity()
