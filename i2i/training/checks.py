"""Whether the values of a checkpoint fit the run that resumes from it; all are checked before any is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from i2i.errors import UsageError, setting
from i2i.training.integrity import Damaged, check_number, check_tensor

_MOMENTS = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "sgd": {"momentum_buffer"}}


class OtherNetworks(Damaged):
    """A checkpoint was saved with different networks; the message says which tensor differs."""


def check_types(state: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]) -> None:
    """Check the types of a checkpoint's entries; optional ones may be missing or None."""
    for name, kind in {**required, **optional}.items():
        if not isinstance(state.get(name), kind) and (name in required or state.get(name) is not None):
            raise Damaged(f"{name} {'is missing' if name not in state else 'has the wrong type'}")


def check_module(found: Any, module: nn.Module, where: str) -> None:
    """Check the names, shapes, types and values of a module's state dict."""
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise Damaged(f"{where} has the wrong type")
    versions = getattr(found, "_metadata", {})
    if not isinstance(versions, dict) or not all(isinstance(version, dict) for version in versions.values()):
        raise Damaged(f"the versions of {where} have the wrong type")
    state = module.state_dict()
    for name in sorted(state.keys() ^ found.keys()):
        raise OtherNetworks(f"{name} is {'missing' if name in state else 'unknown here'}")
    for name, expected in state.items():
        if not isinstance(expected, Tensor):
            continue
        shape = tuple(getattr(found[name], "shape", expected.shape))
        # The extra state of a module, such as an image pool, may have any size.
        if not name.endswith("_extra_state") and shape != tuple(expected.shape):
            raise OtherNetworks(f"{name} is {shape}, expected {tuple(expected.shape)}")
        check_tensor(found[name], f"{where}/{name}", like=expected)


def check_optimizer(found: Any, optimizer: torch.optim.Optimizer, where: str, *, kind: str) -> None:
    """Check the state dict of an optimizer of a kind, "adam" or "sgd"."""
    groups = optimizer.state_dict()["param_groups"]
    try:
        was = "sgd" if "momentum" in found["param_groups"][0] else "adam"
        numbered = [group["params"] for group in found["param_groups"]]
        states = dict(found["state"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise Damaged(f"{where} has the wrong type") from None
    if was != kind:
        raise UsageError(f"the run was trained with another optimizer; resume with {setting('optimizer', was)}")
    if numbered != [group["params"] for group in groups]:
        raise OtherNetworks(f"{where} has another number of weights")
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, moments in states.items():
        if not isinstance(number, int) or not 0 <= number < len(weights) or not isinstance(moments, dict):
            raise Damaged(f"{where}/{number} has the wrong type")
        if moments.keys() != _MOMENTS[was]:
            raise Damaged(f"{where}/{number} holds {', '.join(map(str, moments))}")
        for key, value in moments.items():
            if key == "momentum_buffer" and value is None:
                continue
            shape = () if key == "step" else tuple(weights[number].shape)
            check_tensor(value, f"{where}/{number}/{key}", shape=shape)
            if key in ("step", "exp_avg_sq") and bool((value < 0).any()):
                raise Damaged(f"{where}/{number}/{key} is negative")


def check_scaler(found: Any, where: str) -> None:
    """Check the state dict of a gradient scaler, which is empty without float16."""
    if not isinstance(found, dict):
        raise Damaged(f"{where} has the wrong type")
    for key, value in found.items():
        check_number(value, f"{where}/{key}")


def check_best(best: Mapping[str, Any] | None) -> None:
    """Check the best validation score of a run."""
    if best is not None:
        check_number(best.get("step"), "best/step", integer=True)
        check_number(best.get("value"), "best/value")
        if not isinstance(best.get("score"), str):
            raise Damaged("best/score has the wrong type")


def check_diagnostics(found: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check the state dict of diagnostics, by the types of the present one."""
    for name, present in now.items():
        value = found.get(name, present)
        if isinstance(present, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            if not isinstance(value, type(present)) or not all(map(_is_plain, inner)):
                raise Damaged(f"diagnostics/{name} has the wrong type")
        elif value is not None:
            check_number(value, f"diagnostics/{name}")


def check_random_state(found: Mapping[str, Any], device: torch.device) -> None:
    """Check the states of the random generators."""
    for kind in {"cpu", device.type} & {"cpu", *found}:
        check_tensor(found.get(kind), f"random/{kind}", like=torch.empty(0, dtype=torch.uint8))
        try:
            torch.Generator(device if kind == device.type else kind).set_state(found[kind])
        except (RuntimeError, TypeError):
            raise Damaged(f"random/{kind} is not the state of a random generator") from None


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, a name, or a row of numbers."""
    if isinstance(value, list | tuple):
        return all(isinstance(item, int | float) for item in value)
    return isinstance(value, int | float | str)
