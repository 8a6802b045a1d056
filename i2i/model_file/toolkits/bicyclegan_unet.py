"""The U-Net of BicycleGAN, whose latent joins every layer of the encoder (`--where_add all`)."""

from __future__ import annotations

from typing import Any

import torch

from i2i.errors import UsageError
from i2i.model_file.toolkits.base import Layer, Layout, Tensors, convolutions_of, layers_of, layouts, norm_of


@layouts.register("bicyclegan")
class BicycleGANLayout(Layout):
    """Blocks inside blocks: `model.down.0` is the first convolution, `model.submodule` the next block."""

    toolkit = "a U-Net of BicycleGAN"
    telling = "model.down.0.weight"
    method = "bicyclegan"

    def spec(self, tensors: Tensors) -> tuple[str, dict[str, Any]]:
        """A `unet` with a latent."""
        layers = list(layers_of(tensors).values())
        convolutions = convolutions_of(layers)
        depth, first, last = len(convolutions) // 2, convolutions[0], convolutions[-1]
        latent = convolutions[1].shape[1] - len(first)
        if norm_of(layers) == "batch" or last.shape[2] != 4 or latent < 1:
            raise UsageError("only its default is known: instance norm, --upsample basic and a latent")
        return "unet", {
            "in_channels": first.shape[1] - latent,
            "out_channels": last.shape[1],
            "depth": depth,
            "width": len(first),
            "norm": "instance",
            "dropout": 0.0,
            "latent": latent,
            "where": "all",
        }

    def layers(self, tensors: Tensors) -> list[Layer]:
        """A decoder layer takes the layer below first and the skip second, here the other way round."""
        layers = super().layers(tensors)
        depth = len(layers) // 2
        return layers[: depth + 1] + [_skip_first(layer) for layer in layers[depth + 1 :]]


def _skip_first(layer: Layer) -> Layer:
    below, skip = layer["weight"].chunk(2)
    return {**layer, "weight": torch.cat([skip, below])}
