"""The settings of a run: the flags, over the settings saved in config.json where the run is resumed."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i2i.cli.arguments import one_or_two, parse, values_of
from i2i.cli.train_flags import as_flags, flags_of_method
from i2i.cli.train_imports import import_modules_of, resolved, saved_settings
from i2i.config import DataConfig, RunConfig, from_dict
from i2i.data.shards import is_shards
from i2i.data.shards.storage import without_query
from i2i.errors import UsageError
from i2i.storage import is_remote
from i2i.training.presets import defaults_of, networks_over
from i2i.version import __version__


def run_settings(name: str, method: Any, args: list[str]) -> tuple[RunConfig, Path, bool]:
    """The settings of a run, its folder, and whether it is resumed.

    Args:
        name: of the method.
        method: its class.
        args: the words after METHOD.

    Raises:
        UsageError: flags that can't be read or don't fit together, or a run that can't be resumed.
    """
    from i2i.images.outputs import refuse_inside

    preset = (values_of("--preset", args) or [""])[-1]
    if preset and "--resume" in args:
        raise UsageError("--preset: a resumed run keeps its settings; leave it out, or give single flags")
    kind, command, about = flags_of_method(name, method, preset=preset), f"train {name}", _about(name, method)
    flags = parse(kind, command, args, about)
    run = flags.run or _default_run(name, flags.data, resume=flags.resume)
    if run.exists() and not run.is_dir():
        raise UsageError(f"--run {run}: that is a file; give a folder")
    if flags.resume:
        flags = parse(kind, command, args, about, default=_saved_flags(kind, flags, run, name, method))
    else:
        refuse_existing(run)
        if method.of_run and flags.data and (trained := Path(flags.data[0]) / "config.json").exists():
            saved = saved_settings(trained.parent)
            flags = parse(kind, command, args, about, default=_flags_of_trained(kind, trained, saved, method))
            flags = dataclasses.replace(flags, data=tuple(saved["paths"]))
    one_or_two(flags.data)
    if not flags.resume:
        refuse_inside(run, flags.data, flag="--run")
    # Absolute paths, so that the run can be resumed from any folder.
    data, plugins = tuple(map(_resolved_data, flags.data)), tuple(map(resolved, flags.imports))
    training, options = _length(flags.training, args), flags.method
    training = dataclasses.replace(training, init=_absolute(training.init))
    if method.of_run:
        options = dataclasses.replace(options, **{method.of_run: _absolute(getattr(options, method.of_run))})
    if preset:
        training = dataclasses.replace(training, **networks_over(defaults_of(method, preset).train, vars(training)))
    return RunConfig(name, data, options, flags.images, training, plugins, flags.preset or ""), run, flags.resume


def refuse_existing(run: Path) -> None:
    """Refuse to start a run in the folder of another.

    Raises:
        UsageError: the folder holds a checkpoint.
    """
    if (run / "state.pt").exists():
        raise UsageError(f"{run} holds a run already; add --resume to continue it, or choose another --run")


def summary_of(method: Any) -> str:
    """What a method is for: its summary, or where a plug-in has none, the first line of its class or module."""
    text = method.summary or method.__doc__ or sys.modules[method.__module__].__doc__ or ""
    return next(iter(text.strip().splitlines()), "").rstrip(".")


def _about(name: str, method: Any) -> str:
    networks = f"Networks:\n- --generator {method.generator_spec}\n- --discriminator {method.discriminator_spec}"
    presets = "\n".join(f"- --preset {preset}: {as_flags(values)}" for preset, values in method.presets.items())
    parts = [f"{name}: {summary_of(method)}.", inspect.cleandoc(method.__doc__ or ""), networks]
    return "\n\n".join([*parts, f"Presets:\n{presets}"] if presets else parts)


def _absolute(model: str) -> str:
    """A model's path from the root, so that it is found from any folder; the name of a pretrained one stays."""
    return str(Path(model).resolve()) if model and Path(model).exists() else model


def _resolved_data(data: str) -> str:
    """A data folder from the root; a URL stays as it is."""
    return data if is_remote(data) else str(Path(data).resolve())


def _length(training: Any, args: Sequence[str]) -> Any:
    """The training settings, where --epochs alone overrides the steps of the method or of the run that is resumed."""
    if values_of("--epochs", args) and not values_of("--steps", args):
        least = training.min_steps if values_of("--min-steps", args) else 0
        return dataclasses.replace(training, steps=None, min_steps=least)
    return training


def _saved_flags(kind: Any, flags: Any, run: Path, name: str, method: Any) -> Any:
    """The flags that would give the settings of a run that is resumed."""
    imported = import_modules_of(run, flags.imports, trust=flags.trust_run)
    options, saved = _read_settings(run, name, method)
    return kind(
        data=saved.paths,
        run=run,
        resume=True,
        imports=imported,
        trust_run=flags.trust_run,
        preset=saved.preset,
        images=saved.data,
        training=saved.train,
        method=options,
    )


def _flags_of_trained(kind: Any, trained: Path, saved: dict[str, Any], method: Any) -> Any:
    """The flags that train for the model of another run, on its images; its config.json holds the saved settings."""
    images = from_dict(DataConfig, saved.get("data", {}), where=f"{trained}: data")
    options = dataclasses.replace(method.Config(), **{method.of_run: str(trained.parent.resolve())})
    augment = images.augment if method.data_config.augment else ()
    return kind(images=dataclasses.replace(images, augment=augment), training=method.train_config, method=options)


def _read_settings(run: Path, name: str, method: Any) -> tuple[Any, RunConfig]:
    """The method's options and all settings that a run was saved with."""
    saved, path = _renamed(saved_settings(run)), run / "config.json"
    writer, saved_name = str(saved.pop("made_by", ""))[:60], saved.get("method")
    if saved_name != name:
        raise UsageError(f"{run} is a run of {saved_name}; resume it with: i2i train {saved_name} ... --resume")
    try:
        options = from_dict(method.Config, saved.get("options", {}), where=f"{path}: options")
        return options, from_dict(RunConfig, saved, where=str(path), options=options)
    except UsageError as error:
        if _version(writer) > _version(__version__):
            advice = "pip install --upgrade i2i-toolkit"
            raise UsageError(f"{error}; {writer} wrote it, and this is {__version__}: {advice}") from None
        raise


def _renamed(saved: dict[str, Any]) -> dict[str, Any]:
    """Settings of an older version under their present names."""
    train = saved.get("train")
    if isinstance(train, dict) and "tensorboard" in train:
        tracked = {"track": ["tensorboard"]} if train["tensorboard"] else {}
        saved["train"] = {**tracked, **{name: value for name, value in train.items() if name != "tensorboard"}}
    return saved


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", text.rpartition(" ")[2]))


def _default_run(name: str, data: Sequence[str], *, resume: bool) -> Path:
    """`runs/METHOD-DATA`, numbered where there is one already; to resume, the newest of them."""
    if not data:
        other = ", or resume a run: --run FOLDER --resume" if resume else ""
        raise UsageError(f"DATA is missing; give a data folder: i2i train {name} DATA{other}")
    path = Path(without_query(data[0]))
    # Shards are named for the folder that they are in.
    named = path.parent if is_shards(data[0]) and path.suffix else path
    first = Path("runs") / f"{name}-{named.resolve().name}"
    numbered = [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 1000))]
    free = next(index for index, path in enumerate(numbered) if not (path / "config.json").exists())
    return numbered[max(free - 1, 0)] if resume else numbered[free]
