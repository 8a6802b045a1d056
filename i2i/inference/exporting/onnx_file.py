"""Write a generator as an ONNX graph, in memory."""

from __future__ import annotations

import copy
import tempfile
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from i2i.device import isolated
from i2i.errors import UsageError
from i2i.images.padding import round_up
from i2i.inference.backends.exported import ExportedNetwork, write_metadata
from i2i.inference.footprint import blank_input, memory_per_pixel
from i2i.model_file import Model
from i2i.model_file.model_file import describe
from i2i.networks import Generator
from i2i.networks.layers import ResizeConv
from i2i.optional import extra_module

_OPSET = 17
_exporting = threading.Lock()
_LARGE = 256  # values; smaller tensors stay in float32


def to_onnx(generator: Generator, header: Mapping[str, Any], network: ExportedNetwork) -> bytes:
    """The ONNX file of a generator, with normalisation and dropout as at inference in PyTorch.

    Args:
        generator: on the CPU or not, in evaluation mode; it stays as it is.
        header: of its model file.
        network: direction, sizes, and `fp32` or `fp16` weights.

    Raises:
        UsageError: a package is missing, or the network has operations that ONNX lacks.
    """
    onnx: Any = extra_module("onnx", extra="onnx")
    with _exporting, isolated():  # PyTorch's exporter and Python's warnings have state of their process
        prepared = deployable(generator)
        side = network.size or round_up(max(network.smallest, 64), network.multiple)
        example = tuple(blank_input(prepared, side, side))
        prepared(*example)  # dropout draws its patterns, which are constants of the graph
        names = ["image", "latent"][: len(example)]
        batch = {name: {0: "images"} for name in (*names, "translation")}
        if not network.size:
            for name in ("image", "translation"):
                batch[name] |= {2: "height", 3: "width"}
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            file = Path(folder, "network.onnx")
            # The exporter by tracing takes 0.2 s where the newer one takes 5 s, and needs no other package.
            warnings.simplefilter("ignore")
            try:
                torch.onnx.export(
                    prepared,
                    example,
                    file,
                    input_names=names,
                    output_names=["translation"],
                    opset_version=_OPSET,
                    dynamic_axes=batch,
                    dynamo=False,
                )
            except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
                reason = str(error).strip().splitlines()[0][:200]
                raise UsageError(f"'{generator.spec}' can't be exported: {reason}") from None
            model = onnx.load(file)
    _name_constants(onnx, model)
    if network.precision == "fp16":
        _halve_weights(onnx, model)
    set_metadata(model, write_metadata(header, network))
    content: bytes = model.SerializeToString()
    return content


def header_of_model(
    model: Model, direction: str, *, size: int = 0, precision: str = "fp32"
) -> tuple[dict[str, Any], ExportedNetwork]:
    """What an exported file says of a model and of the network of one direction."""
    generator = model.generators[direction]
    assert isinstance(generator, Generator)
    header = describe(replace(model, generators={direction: generator}))
    network = ExportedNetwork(
        direction,
        generator.in_channels,
        generator.out_channels,
        generator.multiple,
        generator.smallest,
        generator.latent,
        size,
        round(memory_per_pixel(generator)),
        precision,
    )
    return header, network


def set_metadata(model: Any, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of an `onnx.ModelProto`."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def deployable(generator: Generator) -> Generator:
    """A copy for inference: resize-convolutions as one layer each, spectral norms as plain weights."""
    prepared = copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)
    for module in list(prepared.modules()):
        if parametrize.is_parametrized(module):
            _fix_weights(module)
    for module in list(prepared.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ResizeConv):
                setattr(module, name, child.folded())
    return prepared


def _fix_weights(module: nn.Module) -> None:
    """Make the weights that a module computes, such as those of spectral norm, weights of its own.

    `parametrize.remove_parametrizations` would change the class, which the original has in common with its copy.
    """
    computed = {name: getattr(module, name).detach().clone() for name in cast(Any, module.parametrizations)}
    del module._modules["parametrizations"]
    module.__class__ = type(module).__bases__[0]
    for name, weight in computed.items():
        module.register_parameter(name, nn.Parameter(weight, requires_grad=False))


def _name_constants(onnx: Any, model: Any) -> None:
    """Keep constants beside the weights, where NNCF looks for them."""
    constants = [node for node in model.graph.node if node.op_type == "Constant"]
    for node in constants:
        (value,) = (onnx.helper.get_attribute_value(attribute) for attribute in node.attribute)
        value.name = node.output[0]
        model.graph.initializer.append(value)
        model.graph.node.remove(node)


def _halve_weights(onnx: Any, model: Any) -> None:
    """Store large weights in float16; they are cast to float32 when the file is opened."""
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != "float32" or values.size < _LARGE:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype("float16"), f"{name}_fp16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_fp16"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
