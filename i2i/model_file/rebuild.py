"""Rebuild the networks of a model file from their specs, no larger than the tensors that the file lists for them."""

from __future__ import annotations

import contextlib
import math
import shlex
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from i2i.errors import UsageError, setting
from i2i.networks import Generator, LatentGenerator, Network, build_network, registry_of
from i2i.networks.skip_init import SkipInit
from i2i.networks.virtual_batch_norm import Reference
from i2i.spec import Spec

T = TypeVar("T")

MEND = "download or copy it again"
_FLOATS = ("F16", "BF16", "F32", "F64")
_EXACT = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64"}
_MOST_TENSORS = 20_000
_EXTRA = "_extra_state"  # PyTorch's key for `nn.Module.get_extra_state`


class Listed(NamedTuple):
    """A tensor as the header of a safetensors file lists it."""

    dtype: str
    shape: tuple[int, ...]


def rebuild_all(
    path: Path, header: Mapping[str, Any], file: Any, directions: Collection[str] | None
) -> dict[str, Network]:
    """Rebuild the networks that a model file names, without their weights.

    Args:
        path: the file, for errors.
        header: its header; see `decode`.
        file: the opened file.
        directions: those to rebuild; all if None.

    Raises:
        UsageError: the file needs a backbone that isn't registered, or its tensors aren't those of its networks.
    """
    names = file.keys()
    if len(names) > _MOST_TENSORS:
        raise UsageError(f"{path} is a damaged model file: it lists {len(names)} tensors; {MEND}")
    slices = {name: file.get_slice(name) for name in names}
    listed = {name: Listed(str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}
    stray = next((name for name in names if name.partition(".")[0] not in header["maps"]), None)
    if stray is not None:
        raise UsageError(f"{path} is a damaged model file: {stray[:80]} belongs to none of its networks; {MEND}")
    generators = {}
    for direction, text in header["maps"].items():
        if directions is not None and direction not in directions:
            continue
        spec = Spec.parse(text)
        if spec.name not in registry_of(direction):
            raise _missing_backbone(path, spec.name, header)
        try:
            generators[direction] = _rebuild(direction, spec, of_direction(direction, listed))
        except UsageError as error:
            raise UsageError(f"{path}: its weights don't fit '{text}': {error}") from None
    return generators


def of_direction(direction: str, tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors of one direction, by their names in its state dict."""
    prefix = f"{direction}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _rebuild(direction: str, spec: Spec, tensors: Mapping[str, Listed]) -> Network:
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
                with torch.device("meta"), limited_to(tensors):
                    planned = build_network(direction, spec)
            except UsageError:
                raise
            except Exception:  # a plug-in may need values, such as those of a linspace
                with torch.device("cpu"), limited_to(tensors):
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


def _missing_backbone(path: Path, name: str, header: Mapping[str, Any]) -> UsageError:
    module = header["modules"].get(name)
    return UsageError(
        f"{path} needs the generator {name!r} of module {module!r}, written by {header['made_by']}; "
        f"install it and import it: {setting('import', shlex.quote(str(module)))}"
    )


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."


@contextlib.contextmanager
def limited_to(tensors: Mapping[str, Listed]) -> Iterator[None]:
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
