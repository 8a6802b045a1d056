"""i2i: image-to-image translation with adversarial networks.

`translate(image, "map2sat")` translates, `build_run(config, data, folder).fit()` trains, and `i2i --help` shows the
command line. Names are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from i2i.version import __version__ as __version__

if TYPE_CHECKING:
    from i2i.config import DataConfig, RunConfig, TrainConfig
    from i2i.data import find_layout
    from i2i.errors import ImageError, UsageError
    from i2i.inference.sampler import Sampler
    from i2i.inference.translate import translate
    from i2i.inference.translator import Translator
    from i2i.inference.video.translate import translate_video
    from i2i.losses import AdversarialLoss
    from i2i.methods import Method
    from i2i.networks import (
        Backbones,
        Discriminator,
        Generator,
        build_discriminator,
        build_generator,
        discriminators,
        generators,
    )
    from i2i.registry import Registry
    from i2i.spec import Spec
    from i2i.training.build import build_run, run_config
    from i2i.training.callbacks import Callbacks
    from i2i.training.trainer import Trainer


_HOMES = {
    "AdversarialLoss": "losses",
    "Backbones": "networks",
    "Callbacks": "training.callbacks",
    "DataConfig": "config",
    "Discriminator": "networks",
    "Generator": "networks",
    "ImageError": "errors",
    "Method": "methods",
    "Registry": "registry",
    "RunConfig": "config",
    "Sampler": "inference.sampler",
    "Spec": "spec",
    "TrainConfig": "config",
    "Trainer": "training.trainer",
    "Translator": "inference.translator",
    "UsageError": "errors",
    "build_discriminator": "networks",
    "build_generator": "networks",
    "build_run": "training.build",
    "discriminators": "networks",
    "find_layout": "data",
    "generators": "networks",
    "run_config": "training.build",
    "translate": "inference.translate",
    "translate_video": "inference.video.translate",
}

__all__ = [
    "AdversarialLoss",
    "Backbones",
    "Callbacks",
    "DataConfig",
    "Discriminator",
    "Generator",
    "ImageError",
    "Method",
    "Registry",
    "RunConfig",
    "Sampler",
    "Spec",
    "TrainConfig",
    "Trainer",
    "Translator",
    "UsageError",
    "build_discriminator",
    "build_generator",
    "build_run",
    "discriminators",
    "find_layout",
    "generators",
    "run_config",
    "translate",
    "translate_video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'i2i' has no attribute {name!r}")
    return getattr(importlib.import_module(f"i2i.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
