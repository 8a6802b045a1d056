"""The local enhancer of pix2pixHD (`--netG local`), with its global generator inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from i2i.errors import UsageError
from i2i.model_file.toolkits.base import Layout, Tensors, layers_of, layouts, norm_of


@layouts.register("pix2pixhd")
class EnhancerLayout(Layout):
    """`model` is the global generator, `modelN_1` and `modelN_2` are enhancer N, the first the innermost."""

    toolkit = "a local enhancer of pix2pixHD"
    telling = "model1_1.1.weight"
    method = "pix2pixhd"
    image_size = 1024

    def spec(self, tensors: Tensors) -> tuple[str, dict[str, Any]]:
        """A `coarse_to_fine`."""
        layers = layers_of(tensors)
        if norm_of(list(layers.values())) != "instance":
            raise UsageError("only its default norm is known, instance")
        weights = {name: layer["weight"] for name, layer in layers.items()}
        whole = [name for name in weights if name.startswith("model.") and ".conv_block." not in name]
        enhancers = max(
            int(name[5 : name.index("_")]) for name in weights if name.startswith("model1") or "_2." in name
        )
        return "coarse_to_fine", {
            "in_channels": weights["model.1"].shape[1],
            "out_channels": len(list(weights.values())[-1]),
            "width": len(weights["model.1"]),
            "depth": (len(whole) - 1) // 2,
            "blocks": _blocks(weights, "model."),
            "enhancers": enhancers,
            "enhancer_blocks": _blocks(weights, "model1_2."),
            "norm": "instance",
        }


def _blocks(names: Iterable[str], start: str) -> int:
    return sum(name.startswith(start) and ".conv_block." in name for name in names) // 2
