"""The ResNet of pytorch-CycleGAN-and-pix2pix, of CUT, which resamples without aliasing, and of pix2pixHD's level 1."""

from __future__ import annotations

from typing import Any

from i2i.errors import UsageError
from i2i.model_file.toolkits.base import Layout, Tensors, convolutions_of, layers_of, layouts, norm_of
from i2i.networks import Generator


@layouts.register("resnet")
class ResNetLayout(Layout):
    """`model.1` is a 7x7 convolution; residual blocks are `model.N.conv_block`."""

    toolkit = "a ResNet of pytorch-CycleGAN-and-pix2pix, CUT or pix2pixHD"
    telling = "model.1.weight"
    method = "cyclegan"

    def fits(self, tensors: Tensors) -> bool:
        """Residual blocks, and no local enhancer."""
        blocks = any(".conv_block." in name for name in tensors)
        return super().fits(tensors) and blocks and "model1_1.1.weight" not in tensors

    def spec(self, tensors: Tensors) -> tuple[str, dict[str, Any]]:
        """A `resnet`, or with other than two halvings a `coarse_to_fine` without enhancers."""
        layers = layers_of(tensors)
        convolutions = convolutions_of(layer for name, layer in layers.items() if ".conv_block." not in name)
        inside = {name for name, layer in layers.items() if ".conv_block." in name and layer["weight"].dim() == 4}
        halvings, first, last = len(convolutions) // 2 - 1, convolutions[0], convolutions[-1]
        shared = {"width": len(first), "blocks": len(inside) // 2, "norm": norm_of(list(layers.values()))}
        shared |= {"in_channels": first.shape[1], "out_channels": len(last)}
        names = list(tensors)
        encoder = names[: next(index for index, name in enumerate(names) if ".conv_block." in name)]
        blurred = any(name.endswith(".filt") for name in encoder)
        deep = convolutions[halvings + 1]  # the first that doubles height and width
        bilinear = deep.shape[0] < deep.shape[1]  # a convolution, and no transposed one
        dropout = any(name.endswith(".conv_block.6") for name in inside)
        if halvings != 2:
            if blurred or bilinear or dropout:
                raise UsageError(f"{halvings} halvings go with strided convolutions without dropout only")
            return "coarse_to_fine", {**shared, "depth": halvings, "enhancers": 0}
        resampling = {"down": "blur" if blurred else "strided", "up": "bilinear" if bilinear else "transposed"}
        return "resnet", {**shared, **resampling, "dropout": 0.5 if dropout else 0.0, "dropout_at_inference": dropout}

    def trained_by(self, generator: Generator) -> str:
        """CUT where resampling is without aliasing, pix2pixHD where there are more halvings."""
        if generator.spec.name == "coarse_to_fine":
            return "pix2pixhd"
        return "cut" if generator.spec.options["up"] == "bilinear" else self.method
