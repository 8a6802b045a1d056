"""i2i: image-to-image translation with adversarial networks.

`translate(image, "map2sat")` translates; `i2i --help` shows the command line. Names are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from i2i.version import __version__ as __version__

if TYPE_CHECKING:
    from i2i.errors import ImageError, UsageError
    from i2i.inference.sampler import Sampler
    from i2i.inference.translate import translate
    from i2i.inference.translator import Translator
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


_HOMES = {
    "AdversarialLoss": "losses",
    "Backbones": "networks",
    "Discriminator": "networks",
    "Generator": "networks",
    "ImageError": "errors",
    "Method": "methods",
    "Registry": "registry",
    "Sampler": "inference.sampler",
    "Spec": "spec",
    "Translator": "inference.translator",
    "UsageError": "errors",
    "build_discriminator": "networks",
    "build_generator": "networks",
    "discriminators": "networks",
    "generators": "networks",
    "translate": "inference.translate",
}

__all__ = [
    "AdversarialLoss",
    "Backbones",
    "Discriminator",
    "Generator",
    "ImageError",
    "Method",
    "Registry",
    "Sampler",
    "Spec",
    "Translator",
    "UsageError",
    "build_discriminator",
    "build_generator",
    "discriminators",
    "generators",
    "translate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'i2i' has no attribute {name!r}")
    return getattr(importlib.import_module(f"i2i.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
