"""Backbones: generators and discriminators, one file each, which register themselves."""

from i2i.networks.base import Discriminator, Generator, Logits, discriminators, generators
from i2i.networks.build import (
    Backbones,
    Network,
    build_discriminator,
    build_generator,
    build_latent_encoder,
    build_latent_generator,
    build_network,
    registry_of,
)
from i2i.networks.latent import LatentEncoder, LatentGenerator, Prior, latent_encoders, latent_generators
from i2i.plugins import discover

discover(__name__)

__all__ = [
    "Backbones",
    "Discriminator",
    "Generator",
    "LatentEncoder",
    "LatentGenerator",
    "Logits",
    "Network",
    "Prior",
    "build_discriminator",
    "build_generator",
    "build_latent_encoder",
    "build_latent_generator",
    "build_network",
    "discriminators",
    "generators",
    "latent_encoders",
    "latent_generators",
    "registry_of",
]
