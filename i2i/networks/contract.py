"""Run a plug-in's network once before training, so that a broken contract is reported at once."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.virtual_batch_norm import Reference

_BATCH = 2


def check_generator(network: Any, *, in_channels: int, out_channels: int, image_size: int) -> None:
    """Run a plug-in's generator on images of the training size.

    Raises:
        UsageError: it fails, declares other channels, or returns images of another size or number of channels.
    """
    if _is_built_in(network):
        return
    _check_attributes(network, in_channels=in_channels, out_channels=out_channels)
    shapes = [(in_channels, image_size, image_size), *([(network.latent,)] if network.latent else [])]
    _check_output(network, shapes, (out_channels, image_size, image_size), "(N, out_channels, H, W)")


def check_latent_generator(network: Any, *, out_channels: int, image_size: int, classes: int) -> None:
    """Run a plug-in's latent generator; as `check_generator`."""
    if _is_built_in(network):
        return
    _check_attributes(network, out_channels=out_channels, image_size=image_size, classes=classes)
    shape = (out_channels, image_size, image_size)
    _check_output(network, [(network.latent + classes,)], shape, "(N, out_channels, image_size, image_size)")


def check_discriminator(network: Any, *, in_channels: int, image_size: int) -> None:
    """Run a plug-in's discriminator on images of the training size.

    Raises:
        UsageError: it fails, or returns something other than logits for each image.
    """
    if _is_built_in(network):
        return
    output = _run(network, "discriminator", [(in_channels, image_size, image_size)])
    scales = output if isinstance(output, list) else [output]
    if not scales or not all(map(_is_of_batch, scales)):
        raise UsageError(
            f"{_name('discriminator', network)} returns {_describe(output)} for {_BATCH} images; its forward must "
            "return logits (N, ...), or a list of them"
        )


def _is_built_in(network: nn.Module) -> bool:
    # A network with virtual batch norm isn't run either: it would take the empty image for its reference batch.
    return type(network).__module__.startswith("i2i.") or isinstance(getattr(network, "reference", None), Reference)


def _name(kind: str, network: Any) -> str:
    return f"{kind} {network.spec.name!r} ({type(network).__name__})"


def _check_attributes(network: Any, **expected: int) -> None:
    for attribute, value in expected.items():
        if (found := getattr(network, attribute)) != value:
            raise UsageError(
                f"{_name('generator', network)} has {attribute}={found}, and here it is {value}; give its constructor "
                f"the option {attribute}"
            )


def _check_output(network: Any, shapes: list[tuple[int, ...]], expected: tuple[int, ...], contract: str) -> None:
    output = _run(network, "generator", shapes)
    if not isinstance(output, Tensor) or tuple(output.shape) != (_BATCH, *expected):
        raise UsageError(
            f"{_name('generator', network)} returns {_describe(output)} for {(_BATCH, *shapes[0])}; its forward must "
            f"return {contract}, here {(_BATCH, *expected)}"
        )


def _is_of_batch(logits: object) -> bool:
    return isinstance(logits, Tensor) and logits.dim() > 0 and len(logits) == _BATCH


def _describe(output: object) -> str:
    return str(tuple(output.shape)) if isinstance(output, Tensor) else f"a {type(output).__name__}"


def _run(network: Any, kind: str, shapes: list[tuple[int, ...]]) -> Any:
    """The output for zeros of these shapes: on the meta device where the network can be run without values."""
    weights = itertools.chain(network.parameters(), network.buffers())
    planned = copy.deepcopy(network, {id(weight): weight.to("meta") for weight in weights}).eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return planned(*(torch.zeros(_BATCH, *shape) for shape in shapes))
        except Exception:  # values may decide what it does, or tensors may be neither parameters nor buffers
            pass
        try:
            return copy.deepcopy(network).eval()(*(torch.zeros(_BATCH, *shape) for shape in shapes))
        except Exception as error:
            reason = (str(error) or "no reason is given").splitlines()[0]
            raise UsageError(
                f"{_name(kind, network)} fails on {(_BATCH, *shapes[0])}: {type(error).__name__}: {reason}"
            ) from error
