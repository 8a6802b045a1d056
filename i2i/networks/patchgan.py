"""The PatchGAN discriminator: one logit for each patch, at one scale or several."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.losses import Logits
from i2i.networks.base import Discriminator, discriminators
from i2i.networks.layers import Norm, initialize, normalize


@discriminators.register("patchgan")
class PatchGAN(Discriminator):
    """Isola et al. 2017, sec. 6.1.2: C64-C128-C256-C512 and a convolution to one logit for each patch.

    `layers` sets the receptive field: 0 is 1x1 (PixelGAN), 1 is 16x16, 3 is 70x70 (2.769 M parameters on 6 channels
    with batch norm at width 64), 5 is 286x286 (ImageGAN). `scales` > 1 gives as many discriminators, each seeing the
    picture at half the size of the one before (Wang et al. 2018, sec. 3.2), and a list of logits.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        layers: int = 3,
        width: int = 64,
        norm: Norm = "batch",
        scales: int = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        if layers < 0 or width < 1 or scales < 1:
            raise UsageError("patchgan needs layers >= 0, width >= 1 and scales >= 1")
        # The last two convolutions take a pixel each from a map halved `layers` times.
        self.smallest = (3 * 2**layers if layers else 1) * 2 ** (scales - 1)
        self.scales = nn.ModuleList(_patches(in_channels, layers, width, norm) for _ in range(scales))
        initialize(self, spectral=spectral)

    def forward(self, x: Tensor) -> Logits:
        """Judge (N, in_channels, H, W): logits (N, 1, h, w), or a list of them, the finest scale first."""
        logits: list[Tensor] = []
        for place, patches in enumerate(self.scales):
            if place:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            logits.append(patches(x))
        return logits if len(logits) > 1 else logits[0]


def _patches(in_channels: int, layers: int, width: int, norm: Norm) -> nn.Sequential:
    bias = norm != "batch"
    if layers == 0:
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 1, bias=bias),
            normalize(norm, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 1, bias=bias),
        )
    built: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for level in range(1, layers + 1):
        before, after = width * min(2 ** (level - 1), 8), width * min(2**level, 8)
        stride = 2 if level < layers else 1
        built += [nn.Conv2d(before, after, 4, stride=stride, padding=1, bias=bias), normalize(norm, after)]
        built.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*built, nn.Conv2d(width * min(2**layers, 8), 1, 4, padding=1))
