"""Rebuild the network of a model file: its list of tensors bounds the work before any of it is done."""

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
from i2i.networks.base import Generator, LatentGenerator, build_network
from i2i.networks.skip_init import SkipInit
from i2i.networks.virtual_batch_norm import Reference
from i2i.spec import Spec

_FLOATS = ("F16", "BF16", "F32", "F64")
_EXACT = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64"}
_EXTRA = "_extra_state"  # how PyTorch names what a module keeps beside its weights


class Listed(NamedTuple):
    """A tensor as the header of a safetensors file lists it."""

    dtype: str
    shape: tuple[int, ...]


def rebuild(direction: str, spec: Spec, tensors: Mapping[str, Listed]) -> Generator | LatentGenerator:
    """Build the network that a file's tensors belong to, in float32 on the CPU; its weights are still to be loaded.

    It is built on the meta device first, where weights take no memory, and no further than the tensors go. So what a
    spec asks for takes no more time and memory than the file has weights. The global random state is left as it is.

    Args:
        direction: such as `a2b`.
        spec: the network's whole spec.
        tensors: those of this network, by their names in its state.

    Raises:
        UsageError: the spec can't be built, or its network has other tensors.
    """
    try:
        with torch.random.fork_rng(devices=[]), SkipInit():
            try:
                with torch.device("meta"), _no_more_than(tensors):
                    planned = build_network(direction, spec)
            except UsageError:
                raise
            except Exception:  # a plug-in may need values, such as those of a linspace
                with torch.device("cpu"), _no_more_than(tensors):
                    planned = build_network(direction, spec)
            _compare(planned, tensors)
            with torch.device("cpu"):
                return build_network(direction, spec).float()
    except UsageError:
        raise
    except Exception as error:  # a plug-in's constructor, and PyTorch's where a size is negative or overflows
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"its network can't be built: {said[:200]}") from error


def _compare(network: nn.Module, tensors: Mapping[str, Listed]) -> None:
    expected = network.state_dict()
    for name in (*expected, *tensors):
        if name not in tensors:
            raise UsageError(f"they lack {name}")
        if name not in expected:
            raise UsageError(f"they hold {_shortened(name)}, for which it has no place")
        wanted, (dtype, shape) = expected[name], tensors[name]
        if dtype not in (_FLOATS if wanted.is_floating_point() else (_EXACT.get(wanted.dtype),)):
            raise UsageError(f"{name} is {dtype}, expected {'float' if wanted.is_floating_point() else wanted.dtype}")
        if name == f"reference.{_EXTRA}":
            _check_reference(network, shape)
        elif not name.endswith(_EXTRA) and (tuple(wanted.shape) != shape or 0 in shape):
            raise UsageError(f"{name} has shape {shape}, expected {tuple(wanted.shape)}")


def _check_reference(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Whether the network can have seen a reference batch (N, C, H, W), or (N, latent + classes), of this shape."""
    if shape == (0,) or not isinstance(getattr(network, "reference", None), Reference):
        return  # a network that was never trained has none
    if isinstance(network, Generator):
        sides = shape[2:]
        fits = len(shape) == 4 and shape[1] == network.in_channels
        fits = fits and all(side >= network.smallest and side % network.multiple == 0 for side in sides)
    else:
        fits = isinstance(network, LatentGenerator) and shape[1:] == (network.latent + network.classes,)
    if not fits or not shape[0]:
        raise UsageError(f"its reference batch has shape {shape}, which is no batch that the network takes")


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."


@contextlib.contextmanager
def _no_more_than(tensors: Mapping[str, Listed]) -> Iterator[None]:
    """End the building of a network that has more weights than a file has tensors."""
    # Spectral norm registers a weight twice; few modules have no weights beside one that has some.
    values = sum(math.prod(one.shape) for one in tensors.values())
    left = {"parameters": 2 * len(tensors) + 16, "values": 2 * values + 2**20, "modules": 32 * len(tensors) + 256}
    thread = threading.get_ident()  # the hooks are those of all threads

    def count(kind: str, amount: int = 1) -> None:
        if threading.get_ident() == thread:
            left[kind] -= amount
            if left[kind] < 0:
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
