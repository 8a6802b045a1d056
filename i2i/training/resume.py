"""All that a run needs to go on exactly: what of a trainer is saved, and how it is put back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.model_file import read_header
from i2i.networks import registry_of
from i2i.seeding import random_state, set_random_state
from i2i.spec import Spec
from i2i.training.checkpoint import load_state
from i2i.training.diagnostics import Diagnosis
from i2i.training.integrity import Damaged, check_number, check_tensor, state_checksum

if TYPE_CHECKING:
    from i2i.data import Layout
    from i2i.data.folders import Split
    from i2i.training.trainer import Trainer

_MOMENTS = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "sgd": {"momentum_buffer"}}


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
        "method": trainer.method.state_dict(),
        "optimizers": {name: mover.optimizer.state_dict() for name, mover in trainer.trainer_players.items()},
        "scalers": {name: mover.scaler.state_dict() for name, mover in trainer.trainer_players.items()},
        "histories": {
            name: m.turn.history.state_dict() for name, m in trainer.trainer_players.items() if m.turn.history
        },
        "average": trainer.ema.state_dict() if trainer.ema else None,
        "best": trainer.best,
        "health": trainer.health.state_dict(),
        "classes": list(trainer.layout.classes),
        "listing": trainer.listing,
        "random": random_state(trainer.device),
    }


def listing_of(layout: Layout, folders: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What tells later whether a data set has changed: how many files each split has, their names, and their sizes."""
    splits = {"training": layout.train, "held-out": layout.validation}
    return {name: _listing(split, folders) for name, split in splits.items() if split is not None}


def restore(trainer: Trainer) -> None:
    """Put the state of the trainer's folder back, once all of it has been checked.

    Raises:
        UsageError: there is none, it is damaged, or it is that of other networks, classes or another optimizer.
    """
    folder = trainer.folder
    try:
        state = load_state(folder / "state.pt")
    except UsageError as error:
        if not (folder / "state.pt").is_file():
            raise
        raise UsageError(f"{error}{_ADVICE}") from None
    try:
        _check(state, trainer)
    except _OtherNetworks as error:
        raise _of_other_networks(folder, str(error)) from None
    except Damaged as error:
        raise UsageError(f"{folder}/state.pt is damaged: {error}{_ADVICE}") from None
    _put_back(state, trainer)


_ADVICE = "; put back a copy of it, or begin anew with another --run (model.safetensors there translates as before)"


def _listing(split: Split, folders: Sequence[str]) -> dict[str, Any]:
    paths = list(dict.fromkeys(source.path for source in (*split.a, *split.b)))
    names = [_name_in(path.resolve(), folders) for path in paths]
    sizes = [path.stat().st_size if path.exists() else None for path in paths]
    return {"files": len(paths), "names": state_checksum(names), "sizes": state_checksum(sizes)}


def _name_in(path: Path, folders: Sequence[str]) -> str:
    """The name of a file from its data folder on, which may be moved."""
    roots = (Path(folder).resolve() for folder in folders)
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return path.relative_to(root).as_posix()


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Diagnosis]:
    """What to know where the data set is another than that a checkpoint was saved with."""
    found = []
    for name in [name for name in ("training", "held-out") if then.get(name) != now.get(name)]:
        was, has = (listing.get(name) or {"files": 0} for listing in (then, now))
        if was["files"] != has["files"]:
            difference = f"{was['files']} then, {has['files']} now"
        else:
            same = was.get("names") == has.get("names")
            difference = "files have other sizes" if same else "files have other names, or another order"
        found.append(
            Diagnosis(
                f"the {name} images have changed since the run was saved ({difference})",
                "bring the old ones back to resume exactly; with the new ones the run is not repeatable, and scores "
                "from before and after do not compare",
            )
        )
    return found


class _OtherNetworks(Damaged):
    pass


def _of_other_networks(folder: Path, reason: str) -> UsageError:
    return UsageError(
        f"{folder}/state.pt was saved with other networks ({reason}); give those that it was trained with: "
        "--generator SPEC, --discriminator SPEC"
    )


def _put_back(state: dict[str, Any], trainer: Trainer) -> None:
    try:
        trainer.method.load_state_dict(state["method"])
        if trainer.ema is not None:
            # A mean that begins in mid-run begins with the weights as they are.
            begun = {name: network.state_dict() for name, network in trainer.method.generators().items()}
            for name, network in trainer.ema.networks.items():
                network.load_state_dict(begun[name])
            if state.get("average"):
                trainer.ema.load_state_dict(state["average"])
        for name, mover in trainer.trainer_players.items():
            if mover.turn.history and name in state.get("histories", {}):
                mover.turn.history.load_state_dict(state["histories"][name])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise _of_other_networks(trainer.folder, reason) from None
    for name, mover in trainer.trainer_players.items():
        # The flags of now count, not those of then.
        groups = mover.optimizer.state_dict()["param_groups"]
        mover.optimizer.load_state_dict({"state": state["optimizers"][name]["state"], "param_groups": groups})
        if mover.scaler.is_enabled() and state.get("scalers", {}).get(name):
            mover.scaler.load_state_dict(state["scalers"][name])
    trainer.step = trainer.saved = state["step"]
    trainer.best = state.get("best")
    trainer.health.load_state_dict(state.get("health", {}))
    trainer.changes = _changes(state["listing"], trainer.listing) if state.get("listing") else []
    set_random_state(state["random"], trainer.device)


def _check(state: dict[str, Any], trainer: Trainer) -> None:
    """Check types, shapes and values of a state, all that can be known before it is put back."""
    kinds = {"method": dict, "optimizers": dict, "random": dict}
    optional = {
        "scalers": dict,
        "histories": dict,
        "average": dict,
        "best": dict,
        "health": dict,
        "classes": list,
        "listing": dict,
    }
    for name, kind in {**kinds, **optional}.items():
        if not isinstance(state.get(name), kind) and (name in kinds or state.get(name) is not None):
            raise Damaged(f"{name} is {'missing' if name not in state else 'of another type'}")
    check_number(state.get("step"), "step", whole=True)
    _check_classes(state.get("classes"), trainer)
    _check_tensors(state["method"], trainer.method, "method")
    if trainer.ema is not None and state.get("average"):
        _check_tensors(state["average"], trainer.ema, "average")
    for name, mover in trainer.trainer_players.items():
        _check_optimizer(state["optimizers"].get(name), mover.optimizer, f"optimizers/{name}", trainer)
        history = (state.get("histories") or {}).get(name)
        if mover.turn.history and history is not None:
            _check_tensors(history, mover.turn.history, f"histories/{name}")
        scaler = (state.get("scalers") or {}).get(name, {})
        if not isinstance(scaler, dict):
            raise Damaged(f"scalers/{name} is of another type")
        for key, value in scaler.items():
            check_number(value, f"scalers/{name}/{key}")
    _check_notes(state, trainer.health.state_dict())
    for name, listing in (state.get("listing") or {}).items():
        if not isinstance(listing, dict):
            raise Damaged(f"listing/{name} is of another type")
        check_number(listing.get("files"), f"listing/{name}/files", whole=True)
    _check_random(state["random"], trainer.device)


def _check_classes(found: list[Any] | None, trainer: Trainer) -> None:
    now = trainer.layout.classes
    if found is None or tuple(found) == now:
        return
    was, has = (", ".join(map(str, names)) or "no classes" for names in (found, now))
    raise UsageError(f"{trainer.folder} was trained with {was}, and now the data has {has}; bring those back")


def _check_tensors(found: Any, module: nn.Module, where: str) -> None:
    """Check the tensors of a module's state; names that differ are told when it is loaded."""
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise Damaged(f"{where} is of another type")
    versions = getattr(found, "_metadata", {})
    if not isinstance(versions, dict) or not all(isinstance(one, dict) for one in versions.values()):
        raise Damaged(f"the versions of {where} are of another type")
    for name, expected in module.state_dict().items():
        if name not in found or not isinstance(expected, Tensor):
            continue
        shape = tuple(getattr(found[name], "shape", expected.shape))
        # What a module adds to its state, such as an image history, may grow.
        if not name.endswith("_extra_state") and shape != tuple(expected.shape):
            raise _OtherNetworks(f"{name} is {shape}, and here {tuple(expected.shape)}")
        check_tensor(found[name], f"{where}/{name}", like=expected)


def _check_optimizer(found: Any, optimizer: torch.optim.Optimizer, where: str, trainer: Trainer) -> None:
    groups = optimizer.state_dict()["param_groups"]
    try:
        was = "sgd" if "momentum" in found["param_groups"][0] else "adam"
        numbered = [group["params"] for group in found["param_groups"]]
        states = dict(found["state"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise Damaged(f"{where} is of another type") from None
    if was != trainer.config.train.optimizer:
        raise UsageError(f"{trainer.folder} has the state of another optimizer; go on with --optimizer {was}")
    if numbered != [group["params"] for group in groups]:
        raise _OtherNetworks(f"{where} is of another number of weights")
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, kept in states.items():
        if not isinstance(number, int) or not 0 <= number < len(weights) or not isinstance(kept, dict):
            raise Damaged(f"{where}/{number} is of another type")
        if kept.keys() != _MOMENTS[was]:
            raise Damaged(f"{where}/{number} holds {', '.join(map(str, kept))}")
        for key, value in kept.items():
            if key == "momentum_buffer" and value is None:
                continue
            shape = () if key == "step" else tuple(weights[number].shape)
            check_tensor(value, f"{where}/{number}/{key}", shape=shape)
            if key in ("step", "exp_avg_sq") and bool((value < 0).any()):
                raise Damaged(f"{where}/{number}/{key} is negative")


def _check_notes(state: Mapping[str, Any], health: Mapping[str, Any]) -> None:
    """Check what the run noted of itself: its best score, and what its health was, as it is noted now."""
    best = state.get("best")
    if best is not None:
        check_number(best.get("step"), "best/step", whole=True)
        check_number(best.get("value"), "best/value")
    for name, now in health.items():
        then = (state.get("health") or {}).get(name, now)
        if isinstance(now, dict | list):
            values = then.values() if isinstance(then, dict) else then
            if not isinstance(then, type(now)) or not all(map(_is_note, values)):
                raise Damaged(f"health/{name} is of another type")
        elif then is not None:
            check_number(then, f"health/{name}")


def _is_note(value: Any) -> bool:
    """Whether a value is a number, a name, or a row of numbers."""
    if isinstance(value, list | tuple):
        return all(isinstance(one, int | float) for one in value)
    return isinstance(value, int | float | str)


def _check_random(found: dict[str, Any], device: torch.device) -> None:
    for kind in {"cpu", device.type} & {"cpu", *found}:
        check_tensor(found.get(kind), f"random/{kind}", like=torch.empty(0, dtype=torch.uint8))
        try:
            torch.Generator(device if kind == device.type else kind).set_state(found[kind])
        except (RuntimeError, TypeError):
            raise Damaged(f"random/{kind} is no state of random numbers") from None
