"""BicycleGAN's encoder: from an image to the distribution of its latent."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from i2i.networks.layers import initialize


class Encoder(nn.Module):
    """Zhu et al. 2017b, appendix: a convolution of stride 2, halving residual blocks, and average pooling.

    Args:
        in_channels: channels of the image.
        latent: length of z.
        width: channels of the first convolution; the blocks have 2, 3 and 4 times as many.
        blocks: halvings after the first: 4 for 256 px, 3 for 128 px in the paper's code.
    """

    def __init__(self, in_channels: int, latent: int, *, width: int = 64, blocks: int = 3) -> None:
        super().__init__()
        widths = [width * min(index + 1, 4) for index in range(blocks + 1)]
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            *(_HalvingBlock(before, after) for before, after in itertools.pairwise(widths)),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(widths[-1], latent), nn.Linear(widths[-1], latent)
        initialize(self, init="xavier")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (N, in_channels, H, W) in [-1, 1]: the mean and the log variance of z, (N, latent) each."""
        features = self.layers(x)
        return self.mean(features).float(), self.log_variance(features).float()


class _HalvingBlock(nn.Module):
    """A residual block followed by 2x2 average pooling."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.InstanceNorm2d(before),
            nn.LeakyReLU(0.2),
            nn.Conv2d(before, before, 3, padding=1),
            nn.InstanceNorm2d(before),
            nn.LeakyReLU(0.2),
            nn.Conv2d(before, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) to (N, after, H / 2, W / 2)."""
        result: Tensor = self.shortcut(F.avg_pool2d(x, 2)) + F.avg_pool2d(self.branch(x), 2)
        return result
