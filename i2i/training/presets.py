"""Presets: named settings of a method, such as `quality`, that replace its defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from i2i.config import DataConfig, TrainConfig
from i2i.errors import unknown
from i2i.spec import Spec

_NETWORKS = ("generator", "discriminator")


class Settings(NamedTuple):
    """The settings of a run: the options of its method, its images and its training."""

    options: Any
    data: DataConfig
    train: TrainConfig


def defaults_of(method: Any, preset: str = "") -> Settings:
    """The defaults of a method, with the settings of a preset over them.

    Raises:
        UsageError: the method has no such preset.
    """
    defaults = Settings(method.Config(), method.data_config, method.train_config)
    if preset and preset not in method.presets:
        raise unknown("preset", preset, method.presets)
    return replaced(defaults, method.presets[preset] if preset else {})


def replaced(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings with other values, by name; a network's spec keeps the options that the new one of its name leaves out.

    Raises:
        UsageError: there is no such setting, or a value is out of range.
    """
    names = [{field.name for field in dataclasses.fields(part)} for part in settings]
    for name in values:
        if not any(name in known for known in names):
            raise unknown("setting", name, set().union(*names))
    values = {**values, **networks_over(settings.train, values)}
    return Settings(
        *(
            dataclasses.replace(part, **{name: values[name] for name in values if name in known})
            for part, known in zip(settings, names, strict=True)
        )
    )


def networks_over(train: TrainConfig, values: Mapping[str, Any]) -> dict[str, str]:
    """The networks among values, each with the options of the one in `train` where both have the same name."""
    return {
        name: str(Spec.parse(values[name]).over(Spec.parse(base)))
        for name in _NETWORKS
        if values.get(name) and (base := getattr(train, name))
    }
