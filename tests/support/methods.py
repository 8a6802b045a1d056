"""Small games of every method, and images to play them with."""

import inspect
from dataclasses import fields

import pytest
import torch

from i2i.methods import methods
from i2i.networks import Backbones, discriminators, generators, latent_generators
from i2i.spec import Spec
from i2i.training.player import freeze_all_but

# Methods that need no trained model.
GAMES = {name: methods[name] for name in methods if not methods[name].of_run}
# What makes a game small, or lets all of its players move in the first step; a new method may add its own.
OPTIONS = {
    "bicyclegan": {"encoder_width": 4},
    "cut": {"patches": 64},
    "fastcut": {"patches": 64},
    "pix2pixhd": {"perceptual_weight": 0.0},
    "simgan": {"refiner_warmup": 0, "discriminator_warmup": 0, "refiner_steps": 1},
}
# Methods that compare what comes out with what went in, and want as many channels in both domains.
ALIKE = {"cut", "fastcut", "simgan"}
# Few weights for images of 32 pixels, as far as a backbone has such options.
SMALL = {"width": 4, "depth": 4, "blocks": 1, "layers": 1, "dropout": 0, "enhancer_blocks": 1}
SMALL_OF = {"coarse_to_fine": {"depth": 2}, "local": {"width": 24}}
LETTERS = {"a": 0, "b": 1}


def registry_of_generators(method):
    return latent_generators if methods[method].data == "single" else generators


def small(text, registry, **more):
    """The spec with few weights and no dropout, as far as its builder has such options."""
    spec = Spec.parse(text)
    parameters = inspect.signature(registry[spec.name]).parameters
    wanted = {**SMALL, **SMALL_OF.get(spec.name, {}), **more}
    return Spec(spec.name, {**spec.options, **{n: v for n, v in wanted.items() if n in parameters}})


def has(method, option):
    """Whether a method has an option of this name."""
    return option in {field.name for field in fields(methods[method].Config)}


def config(method, **options):
    return methods[method].Config(**{**OPTIONS.get(method, {}), **options})


def make(method_name, *, channels=(3, 3), classes=0, width=4, generator=None, discriminator=None, **options):
    """A small method of a method for 32 pixels, with its own backbones, options of those, and these of its own."""
    torch.manual_seed(0)
    method = methods[method_name]
    backbones = Backbones(
        small(method.generator_spec, registry_of_generators(method_name), **{"width": width, **(generator or {})}),
        small(method.discriminator_spec, discriminators, **(discriminator or {})),
        image_size=32,
        channels=channels,
        classes=classes,
    )
    return method(config(method_name, **options), backbones)


def at_zero(method, **options):
    """A method whose every weight is 0: generators give 0 (grey), discriminators the logit 0."""
    return zeroed(make(method, **options))


def zeroed(method):
    """A method with every weight at 0."""
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.zero_()
    return method


def noise(method, count=2, channels=(3, 3), *, classes=0, seed=1):
    """A batch of what a method learns from, with nothing to learn in it."""
    draw = torch.Generator().manual_seed(seed)
    batch = {name: torch.rand(count, channels[i], 32, 32, generator=draw) * 2 - 1 for name, i in LETTERS.items()}
    if methods[method].data != "single":
        return batch
    labels = {"label": torch.randint(classes, (count,), generator=draw)} if classes else {}
    return {"b": batch["b"], **labels}


def moves(method):
    """The loss of each player in its first move."""
    found = {}
    for step in range(6):
        for name, loss in method.turns(step):
            found.setdefault(name, loss)
    assert found.keys() == method.players().keys()
    return found


def play(method, method_name, steps, *, lr=0.05, **batches):
    """Let each player whose turn it is move by plain SGD in these steps, and return what every term was."""
    players, said = method.players(), []
    for step in steps:
        images = method(noise(method_name, seed=step, **batches))
        for name, loss in method.turns(step):
            method.zero_grad(set_to_none=True)
            with freeze_all_but(players[name], of=method):
                losses = loss(method.images_for(name, images))
                sum(losses.values()).backward()
            with torch.no_grad():
                for parameter in players[name].parameters():
                    parameter -= lr * parameter.grad
            said.append({f"{name}/{term}": value.item() for term, value in losses.items()})
    return said


def terms(losses):
    """Named losses to compare with those worked out by hand."""
    return {name: pytest.approx(value.item(), rel=1e-5) for name, value in losses.items()}


def moved(module):
    """Names of the parameters that a gradient reached."""
    return {name for name, parameter in module.named_parameters() if parameter.grad is not None}
