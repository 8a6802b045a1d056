"""The backbones, one file each; every module here registers what it holds."""

from i2i.networks.base import (
    Backbones,
    Discriminator,
    Generator,
    build_discriminator,
    build_generator,
    discriminators,
    generators,
)
from i2i.registry import discover

discover(__name__)

__all__ = [
    "Backbones",
    "Discriminator",
    "Generator",
    "build_discriminator",
    "build_generator",
    "discriminators",
    "generators",
]
