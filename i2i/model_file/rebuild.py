"""Rebuild a network from its spec, no larger than the tensors that a model file lists for it."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from i2i.errors import UsageError
from i2i.networks import Generator, LatentGenerator, build_network
from i2i.networks.skip_init import SkipInit
from i2i.networks.virtual_batch_norm import Reference
from i2i.spec import Spec

_FLOATS = ("F16", "BF16", "F32", "F64")
_EXACT = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64"}
_EXTRA = "_extra_state"  # PyTorch's key for `nn.Module.get_extra_state`


class Listed(NamedTuple):
    """A tensor as the header of a safetensors file lists it."""

    dtype: str
    shape: tuple[int, ...]


def rebuild(direction: str, spec: Spec, tensors: Mapping[str, Listed]) -> Generator | LatentGenerator:
    """Build the network of a spec in float32 on the CPU, without its weights.

    It is built on the meta device first, where weights take no memory, and building stops when it outgrows the listed
    tensors. So a malicious spec takes no more time and memory than the file has weights. The global random state is
    unchanged.

    Args:
        direction: such as `a2b`.
        spec: the complete spec.
        tensors: the tensors of this network, by their names in its state dict.

    Raises:
        UsageError: the spec can't be built, or the network has other tensors.
    """
    try:
        with torch.random.fork_rng(devices=[]), SkipInit():
            try:
                with torch.device("meta"), _limited_to(tensors):
                    planned = build_network(direction, spec)
            except UsageError:
                raise
            except Exception:  # a plug-in may need values, such as those of a linspace
                with torch.device("cpu"), _limited_to(tensors):
                    planned = build_network(direction, spec)
            _compare(planned, tensors)
            with torch.device("cpu"):
                return build_network(direction, spec).float()
    except UsageError:
        raise
    except Exception as error:  # a plug-in's constructor, and PyTorch's where a size is negative or overflows
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"its network can't be built: {reason[:200]}") from error


def _compare(network: nn.Module, tensors: Mapping[str, Listed]) -> None:
    expected = network.state_dict()
    for name in (*expected, *tensors):
        if name not in tensors:
            raise UsageError(f"they lack {name}")
        if name not in expected:
            raise UsageError(f"they include {_shortened(name)}, which the network doesn't have")
        tensor, (dtype, shape) = expected[name], tensors[name]
        if dtype not in (_FLOATS if tensor.is_floating_point() else (_EXACT.get(tensor.dtype),)):
            raise UsageError(f"{name} is {dtype}, expected {'float' if tensor.is_floating_point() else tensor.dtype}")
        if name == f"reference.{_EXTRA}":
            _check_reference(network, shape)
        elif not name.endswith(_EXTRA) and (tuple(tensor.shape) != shape or 0 in shape):
            raise UsageError(f"{name} has shape {shape}, expected {tuple(tensor.shape)}")


def _check_reference(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise unless the network takes a reference batch of this shape: (N, C, H, W), or (N, latent + classes)."""
    if shape == (0,) or not isinstance(getattr(network, "reference", None), Reference):
        return  # a network that was never trained has none
    if isinstance(network, Generator):
        sides = shape[2:]
        fits = len(shape) == 4 and shape[1] == network.in_channels
        fits = fits and all(side >= network.smallest and side % network.multiple == 0 for side in sides)
    else:
        fits = isinstance(network, LatentGenerator) and shape[1:] == (network.latent + network.classes,)
    if not fits or not shape[0]:
        raise UsageError(f"its reference batch has shape {shape}, which the network doesn't take")


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."


@contextlib.contextmanager
def _limited_to(tensors: Mapping[str, Listed]) -> Iterator[None]:
    """Stop the construction of a network that has more weights than these tensors."""
    # Spectral norm registers a weight twice; few modules have no weights beside one that has some.
    values = sum(math.prod(listed.shape) for listed in tensors.values())
    allowed = {"parameters": 2 * len(tensors) + 16, "values": 2 * values + 2**20, "modules": 32 * len(tensors) + 256}
    thread = threading.get_ident()  # hooks are called in all threads

    def count(kind: str, amount: int = 1) -> None:
        if threading.get_ident() == thread:
            allowed[kind] -= amount
            if allowed[kind] < 0:
                raise UsageError(f"its network is far larger than the {len(tensors)} tensors that the file has for it")

    def weigh(_: nn.Module, __: str, parameter: nn.Parameter) -> None:
        count("parameters")
        count("values", parameter.numel())

    hooks = [
        register_module_parameter_registration_hook(weigh),
        register_module_module_registration_hook(lambda *_: count("modules")),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
