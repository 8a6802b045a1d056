"""What is known to end badly before the first step: settings that can't work are refused, unwise ones are warned of."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from i2i.config import RunConfig, TrainConfig
from i2i.errors import UsageError
from i2i.methods import Method
from i2i.networks import Discriminator
from i2i.training.diagnostics import Diagnosis

# Adam moves each weight by up to the learning rate in a step (Kingma and Ba 2015, sec. 2.1), and weights begin with a
# standard deviation of 0.02. SGD moves by the rate times a gradient that is seldom above 1.
_LARGEST_RATE = {"adam": 0.1, "sgd": 1.0}
_USUAL_RATE = {"adam": 2e-4, "sgd": 1e-3}


def check_settings(config: RunConfig, method: Method, *, steps: int, images: int) -> list[Diagnosis]:
    """What to warn of before training.

    Args:
        config: the run's settings.
        method: the method's networks, as the settings ask for them.
        steps: of the whole run.
        images: in the training set.

    Raises:
        UsageError: the generator or the critic would have nothing to learn by.
    """
    _check_generator_learns(method)
    found = [
        _few_steps(config, method, steps, images),
        _large_rate(config, type(method).train_config),
        _mixed_gradients(config, method),
    ]
    return [diagnosis for diagnosis in found if diagnosis]


def _check_generator_learns(method: Method) -> None:
    options = method.config
    if method.data == "single" and not options.adversarial_weight and not options.feature_matching:
        raise UsageError(
            "adversarial_weight 0 leaves the generator nothing to learn by; add --feature-matching 1, or leave it at 1"
        )
    if options.adversarial == "wasserstein" and not (_penalised(options) or _spectral(method)):
        raise UsageError(
            "--adversarial wasserstein: without a bound on the critic's slope its loss falls without end (Arjovsky et "
            "al. 2017, sec. 3); add --gradient-penalty 10, or spectral=true to --discriminator"
        )


def _few_steps(config: RunConfig, method: Method, steps: int, images: int) -> Diagnosis | None:
    # Who types --steps has chosen; a number that comes of epochs depends on how many images there happen to be.
    fewest = method.fewest_steps
    if config.train.steps is not None or steps >= fewest:
        return None
    epochs = math.ceil(fewest * config.train.batch_size / images)
    return Diagnosis(
        f"{steps} steps ({config.train.epochs} epochs of {images} images, {config.train.batch_size} in a step) are few "
        f"for {config.method}: below {fewest} it mostly gives noise or blur",
        f"--steps {fewest} (--epochs {epochs}) or more",
    )


def _large_rate(config: RunConfig, own: TrainConfig) -> Diagnosis | None:
    train = config.train
    if train.lr <= _LARGEST_RATE[train.optimizer]:
        return None
    move = {
        "adam": "each step moves a weight by about as much, and weights begin at about 0.02",
        "sgd": "each step moves the weights by so many times their gradient",
    }
    usual = own.lr if own.optimizer == train.optimizer else _USUAL_RATE[train.optimizer]
    return Diagnosis(
        f"learning rate {train.lr:g} is far too large for {train.optimizer}: {move[train.optimizer]}; expect losses "
        "that explode and images all black or white",
        f"--lr {usual:g}",
    )


def _mixed_gradients(config: RunConfig, method: Method) -> Diagnosis | None:
    """Batch norm makes each image's logit depend on its batch (Gulrajani et al. 2017, sec. 4)."""
    options, train = method.config, config.train
    penalised = _penalised(options)
    # Alone in its batch an image is normalised by itself.
    at_fault = train.batch_size > train.gradient_accumulation if penalised else options.adversarial == "wasserstein"
    if not at_fault or not any(isinstance(module, _BatchNorm) for module in _discriminator_modules(method)):
        return None
    what = "a gradient penalty is on each image's own slope" if penalised else "spectral norm bounds the critic's slope"
    why = "batch norm mixes the images of a batch" if penalised else "batch norm after it takes that bound away"
    return Diagnosis(
        f"batch norm in the discriminator: {what}, and {why}",
        "--discriminator with norm=instance or norm=none, such as patchgan:norm=instance",
    )


def _penalised(options: Method.Config) -> bool:
    return bool(options.gradient_penalty or options.r1)


def _spectral(method: Method) -> bool:
    return any(parametrize.is_parametrized(module, "weight") for module in _discriminator_modules(method))


def _discriminator_modules(method: Method) -> Iterator[nn.Module]:
    for module in method.modules():
        if isinstance(module, Discriminator):
            yield from module.modules()
