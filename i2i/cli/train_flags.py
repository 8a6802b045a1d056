"""The flags of `i2i train METHOD`: those of every run, the settings, and the options of the method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose
from i2i.config import DataConfig, TrainConfig


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i train` for every method."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")] = ()
    """A folder of images, or two folders whose files match by name; a table of pairs (.csv); or tar shards, such as
    'shards/train-{000..099}.tar' or a URL. Layouts: see datasets/README.md."""
    run: Path | None = None
    """Folder of the run (default: runs/METHOD-DATA)."""
    resume: bool = False
    """Resume the run of --run, or the newest run of METHOD on DATA, with its settings. Other flags change settings;
    --no-FLAG turns one off."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Named settings of the method, over which other flags have precedence; see Presets above."""
    imports: Imports = ()
    """Import a module or .py file that defines a method, a network or a tracker. Repeatable."""
    trust_run: bool = False
    """With --resume: import the modules that the run was trained with, without an --import for each."""
    quiet: Quiet = False
    verbose: Verbose = False
    images: tyro.conf.OmitArgPrefixes[DataConfig] = field(default_factory=DataConfig)
    training: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)


def flags_of_method(name: str, method: Any, *, preset: str = "") -> Any:
    """`Flags`, with the options of a method, and as defaults its settings or those of a preset."""
    from i2i.training.presets import defaults_of

    options, data, train = defaults_of(method, preset)
    groups = {"method": (options, name), "images": (data, "image"), "training": (train, "training")}
    fields = [
        (group, Annotated[tyro.conf.OmitArgPrefixes[type(value)], tyro.conf.arg(name=title)], value)  # type: ignore[misc]
        for group, (value, title) in groups.items()
    ]
    return dataclasses.make_dataclass("Flags", fields, bases=(Flags,), frozen=True)


def as_flags(values: Mapping[str, Any]) -> str:
    """Settings as they are typed: "--ema-decay 0.998 --generator unet:up=resize"."""
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, tuple) else (value,))]
    return " ".join(words)
