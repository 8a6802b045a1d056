"""The PatchGAN discriminator: one logit for each patch, at one scale or several."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.base import MAX_DEPTH, Discriminator, Logits, discriminators
from i2i.networks.layers import Blur, Down, Init, Norm, initialize, needs_bias, normalize

Padding: TypeAlias = Literal[1, 2]
ScaleWidth: TypeAlias = Literal["same", "halved"]


@discriminators.register("patchgan")
class PatchGAN(Discriminator):
    """Isola et al. 2017, sec. 6.1.2: C64-C128-C256-C512 and a convolution to one logit for each patch.

    `layers` sets the receptive field: 0 is 1x1 (PixelGAN), 1 is 16x16, 3 is 70x70 (2.769 M parameters on 6 channels
    with batch norm at width 64), 5 is 286x286 (ImageGAN). `scales` > 1 gives as many discriminators, each on the
    image at half the size of the one before (Wang et al. 2018, sec. 3.2), and a list of logits; with
    `scale_width=halved` each has half the width of the one before, as in BicycleGAN's code. `padding` is that of the
    4x4 convolutions: 2 in pix2pixHD's code. `down=blur` downsamples without aliasing, as CUT's does.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        layers: int = 3,
        width: int = 64,
        norm: Norm = "batch",
        scales: int = 1,
        down: Down = "strided",
        spectral: bool = False,
        init: Init = "normal",
        padding: Padding = 1,
        scale_width: ScaleWidth = "same",
    ) -> None:
        super().__init__()
        if not 0 <= layers <= MAX_DEPTH or width < 1 or not 1 <= scales <= MAX_DEPTH:
            raise UsageError(
                f"patchgan needs layers from 0 to {MAX_DEPTH}, width >= 1 and scales from 1 to {MAX_DEPTH}"
            )
        # With padding 1 the last two convolutions each shrink the map, halved `layers` times, by a pixel; with padding
        # 2 it never becomes empty, but instance norm needs two pixels a side.
        smallest = {1: 3 * 2**layers, 2: 2}[padding]
        self.smallest = (smallest if layers else 1) * 2 ** (scales - 1)
        widths = [width if scale_width == "same" else max(1, round(width / 2**scale)) for scale in range(scales)]
        self.scales = nn.ModuleList(_patches(in_channels, layers, wide, norm, down, padding) for wide in widths)
        initialize(self, spectral=spectral, init=init)

    def forward(self, x: Tensor) -> Logits:
        """Logits (N, 1, h, w) of images (N, in_channels, H, W), or a list of them, the finest scale first."""
        return self.forward_with_features(x)[0]

    def forward_with_features(self, x: Tensor) -> tuple[Logits, list[Tensor]]:
        """Logits, and the activations of each layer but the last, scale by scale."""
        logits: list[Tensor] = []
        activations: list[Tensor] = []
        for index, patches in enumerate(self.scales):
            if index:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            y = x
            for layer in patches.children():
                y = layer(y)
                if isinstance(layer, nn.LeakyReLU):
                    activations.append(y)
            logits.append(y)
        return logits if len(logits) > 1 else logits[0], activations


def _patches(in_channels: int, layers: int, width: int, norm: Norm, down: Down, padding: Padding) -> nn.Sequential:
    bias = needs_bias(norm)
    if layers == 0:
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 1, bias=bias),
            normalize(norm, 2 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 1, 1, bias=bias),
        )
    built: list[nn.Module] = []
    for level in range(layers + 1):
        before, after = width * min(2 ** (level - 1), 8) if level else in_channels, width * min(2**level, 8)
        halves = level < layers
        stride = 2 if halves and down == "strided" else 1
        built += [nn.Conv2d(before, after, 4, stride=stride, padding=padding, bias=bias or level == 0)]
        built += [normalize(norm, after)] if level else []
        built += [nn.LeakyReLU(0.2, inplace=True), *([Blur()] if halves and down == "blur" else [])]
    return nn.Sequential(*built, nn.Conv2d(width * min(2**layers, 8), 1, 4, padding=padding))
