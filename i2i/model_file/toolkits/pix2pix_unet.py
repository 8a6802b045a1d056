"""The U-Net of pytorch-CycleGAN-and-pix2pix."""

from __future__ import annotations

from typing import Any

from i2i.errors import UsageError
from i2i.model_file.toolkits.base import Layout, Tensors, convolutions_of, layers_of, layouts, norm_of

_BICYCLEGAN_LATENT = 8


@layouts.register("unet")
class UNetLayout(Layout):
    """Blocks inside blocks: `model.model.0` is the first convolution, `model.model.1.model` the next block.

    Dropout leaves no trace in a checkpoint. With batch norm, the U-Net is pix2pix's, which is trained and tested with
    dropout by default; with instance norm, it is CycleGAN's, which is not.
    """

    toolkit = "a U-Net of pytorch-CycleGAN-and-pix2pix"
    telling = "model.model.0.weight"
    method = "pix2pix"

    def spec(self, tensors: Tensors) -> tuple[str, dict[str, Any]]:
        """A `unet` with dropout in the layers of that code."""
        layers = list(layers_of(tensors).values())
        convolutions = convolutions_of(layers)
        first, last, norm = convolutions[0], convolutions[-1], norm_of(layers)
        in_channels, out_channels = first.shape[1], last.shape[1]
        if norm == "instance" and in_channels == out_channels + _BICYCLEGAN_LATENT:
            raise UsageError(
                f"with {in_channels} channels in and {out_channels} out it may be BicycleGAN's with --where_add input, "
                "whose skips come in another order, which its weights don't tell; --where_add all is known"
            )
        return "unet", {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "depth": len(convolutions) // 2,
            "width": len(first),
            "norm": norm,
            "dropout": 0.5 if norm == "batch" else 0.0,
            "dropout_layers": "code",
        }
