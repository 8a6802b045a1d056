"""A plug-in's network is tried on an empty image, so that what is wrong with it is said before training."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks.virtual_batch_norm import Reference

_BATCH = 2


def try_generator(network: Any, *, in_channels: int, out_channels: int, image_size: int) -> None:
    """Run a generator from outside this package on images of the training size.

    Raises:
        UsageError: it fails, lacks what a generator says of itself, or gives images of another size or number of
            channels.
    """
    if _is_own(network):
        return
    for attribute, wanted in (("in_channels", in_channels), ("out_channels", out_channels)):
        if getattr(network, attribute, None) != wanted:
            found = f"{attribute}={getattr(network, attribute)}" if hasattr(network, attribute) else f"no {attribute}"
            raise UsageError(
                f"{_named('generator', network)} has {found}; set self.{attribute} = {attribute} in its constructor"
            )
    given = [(in_channels, image_size, image_size), *([(network.latent,)] if network.latent else [])]
    _expect(network, "generator", given, (out_channels, image_size, image_size), "(N, out_channels, H, W)")


def try_latent_generator(network: Any, *, out_channels: int, image_size: int, classes: int) -> None:
    """Run a latent generator from outside this package; as `try_generator`."""
    if _is_own(network):
        return
    wanted = {"out_channels": out_channels, "image_size": image_size, "classes": classes}
    for attribute, value in wanted.items():
        if getattr(network, attribute, None) != value:
            raise UsageError(
                f"{_named('generator', network)} has {attribute}={getattr(network, attribute, 'nothing')}, and here it "
                f"is {value}; set self.{attribute} = {attribute} in its constructor"
            )
    if not isinstance(getattr(network, "latent", None), int):
        raise UsageError(f"{_named('generator', network)} has no latent; set self.latent in its constructor")
    shape = (out_channels, image_size, image_size)
    _expect(network, "generator", [(network.latent + classes,)], shape, "(N, out_channels, image_size, image_size)")


def try_discriminator(network: Any, *, in_channels: int, image_size: int) -> None:
    """Run a discriminator from outside this package on images of the training size.

    Raises:
        UsageError: it fails, or gives something else than logits of each image.
    """
    if _is_own(network):
        return
    result = _run(network, "discriminator", [(in_channels, image_size, image_size)])
    logits = result if isinstance(result, list) else [result]
    if not logits or not all(isinstance(one, Tensor) and one.dim() and len(one) == _BATCH for one in logits):
        raise UsageError(
            f"{_named('discriminator', network)} gives {_what(result)} for {_BATCH} images; its forward must give "
            "logits (N, ...), or a list of them"
        )


def _is_own(network: nn.Module) -> bool:
    # Virtual batch norm would take the empty image for its reference batch.
    return type(network).__module__.startswith("i2i.") or isinstance(getattr(network, "reference", None), Reference)


def _named(kind: str, network: Any) -> str:
    return f"{kind} {network.spec.name!r} ({type(network).__name__})"


def _expect(network: Any, kind: str, given: list[tuple[int, ...]], shape: tuple[int, ...], words: str) -> None:
    result = _run(network, kind, given)
    if not isinstance(result, Tensor) or tuple(result.shape) != (_BATCH, *shape):
        raise UsageError(
            f"{_named(kind, network)} gives {_what(result)} for {(_BATCH, *given[0])}; its forward must give {words}, "
            f"here {(_BATCH, *shape)}"
        )


def _what(result: object) -> str:
    return str(tuple(result.shape)) if isinstance(result, Tensor) else f"a {type(result).__name__}"


def _run(network: Any, kind: str, given: list[tuple[int, ...]]) -> Any:
    """What it gives for zeros of these shapes, by shapes alone where it can be run without values."""
    weights = itertools.chain(network.parameters(), network.buffers())
    plan = copy.deepcopy(network, {id(one): one.to("meta") for one in weights}).eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return plan(*(torch.zeros(_BATCH, *shape) for shape in given))
        except Exception:  # values may decide what it does, or tensors of its own lie elsewhere
            pass
        try:
            return copy.deepcopy(network).eval()(*(torch.zeros(_BATCH, *shape) for shape in given))
        except Exception as error:
            said = (str(error) or "no reason is given").splitlines()[0]
            raise UsageError(
                f"{_named(kind, network)} fails on {(_BATCH, *given[0])}: {type(error).__name__}: {said}"
            ) from error
