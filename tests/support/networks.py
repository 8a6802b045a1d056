"""Small generators from a latent, and discriminators, with weights large enough to tell images apart."""

import torch

from i2i.networks import build_discriminator, build_latent_generator
from i2i.spec import Spec


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def parameter_count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def build_small_generator(spec, *, size=16, classes=0, seed=0):
    torch.manual_seed(seed)
    network = build_latent_generator(spec, out_channels=2, image_size=size, classes=classes)
    for parameter in network.parameters():
        parameter *= 5 if parameter.dim() > 1 else 1
    return network


def build_small_discriminator(name, *, size=16, **options):
    torch.manual_seed(0)
    discriminator = build_discriminator(Spec(name, {"width": 4, **options}), in_channels=3, image_size=size)
    for parameter in discriminator.parameters():
        parameter *= 5 if parameter.dim() > 1 else 1
    return discriminator
