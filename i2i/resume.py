"""All that a run needs to go on exactly: what of a trainer is saved, and how it is put back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from i2i.checkpoint import load_state, random_state, read_header, set_random_state
from i2i.errors import UsageError
from i2i.networks import registry_of
from i2i.registry import Spec

if TYPE_CHECKING:
    from i2i.trainer import Trainer


def generator_of(folder: Path) -> str | None:
    """The generator that a run was started with, from its model file: a method's own may have changed since."""
    with contextlib.suppress(UsageError):
        for direction, text in read_header(folder / "model.safetensors")["maps"].items():
            whole = Spec.parse(text).complete(registry_of(direction))
            known = {"in_channels", "out_channels", "image_size", "classes"}  # which the trainer gives
            return str(Spec(whole.name, {name: v for name, v in whole.options.items() if name not in known}))
    return None


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Tensors, numbers and text from which the trainer's run goes on as if it had never stopped."""
    return {
        "step": trainer.step,
        "objective": trainer.objective.state_dict(),
        "optimizers": {name: mover.optimizer.state_dict() for name, mover in trainer.movers.items()},
        "scalers": {name: mover.scaler.state_dict() for name, mover in trainer.movers.items()},
        "histories": {name: m.turn.history.state_dict() for name, m in trainer.movers.items() if m.turn.history},
        "average": trainer.average.state_dict() if trainer.average else None,
        "best": trainer.best,
        "health": trainer.health.state_dict(),
        "classes": list(trainer.layout.classes),
        "random": random_state(trainer.device),
    }


def restore(trainer: Trainer) -> None:
    """Put the state of the trainer's folder back.

    Raises:
        UsageError: there is none, it is damaged, or it is that of other networks, classes or another optimizer.
    """
    folder = trainer.folder
    try:
        state = load_state(folder / "state.pt")
    except UsageError as error:
        if not (folder / "state.pt").is_file():
            raise
        advice = "put back a copy of it, or begin anew with another --run"
        raise UsageError(f"{error}; {advice} (model.safetensors there translates as before)") from None
    known = tuple(state.get("classes", trainer.layout.classes))
    if known != trainer.layout.classes:
        was, now = (", ".join(names) or "no classes" for names in (known, trainer.layout.classes))
        raise UsageError(f"{folder} was trained with {was}, and now the data has {now}; bring those back")
    try:
        trainer.objective.load_state_dict(state["objective"])
        for name, mover in trainer.movers.items():
            _restore_optimizer(mover.optimizer, state["optimizers"][name], trainer)
            if mover.turn.history and name in state["histories"]:
                mover.turn.history.load_state_dict(state["histories"][name])
            if mover.scaler.is_enabled() and state.get("scalers", {}).get(name):
                mover.scaler.load_state_dict(state["scalers"][name])
        if trainer.average is not None:
            # A mean that begins in mid-run begins with the weights as they are.
            begun = {name: network.state_dict() for name, network in trainer.objective.maps().items()}
            for name, network in trainer.average.networks.items():
                network.load_state_dict(begun[name])
            if state.get("average"):
                trainer.average.load_state_dict(state["average"])
    except UsageError:
        raise
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(
            f"{folder}/state.pt was saved with other networks ({reason}); give those that it was trained with: "
            "--generator SPEC, --discriminator SPEC"
        ) from None
    trainer.step = trainer.saved = state["step"]
    trainer.best = state.get("best")
    trainer.health.load_state_dict(state.get("health", {}))
    set_random_state(state["random"], trainer.device)


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any], trainer: Trainer) -> None:
    was = "sgd" if "momentum" in state["param_groups"][0] else "adam"
    if was != trainer.config.train.optimizer:
        raise UsageError(f"{trainer.folder} has the state of another optimizer; go on with --optimizer {was}")
    flags = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, given in zip(optimizer.param_groups, flags, strict=True):
        group.update(given)
