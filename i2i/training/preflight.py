"""Checks of the settings before the first step: settings that can't work are refused, poor ones get a warning."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from i2i.config import RunConfig, TrainConfig
from i2i.errors import UsageError, setting
from i2i.methods import Method
from i2i.networks import Discriminator
from i2i.training.diagnostics import Diagnosis

# Adam moves each weight by up to the learning rate in a step (Kingma and Ba 2015, sec. 2.1), and weights start with a
# standard deviation of 0.02. SGD moves by the learning rate times a gradient that is seldom above 1.
_LARGEST_RATE = {"adam": 0.1, "sgd": 1.0}
_USUAL_RATE = {"adam": 2e-4, "sgd": 1e-3}
# Below this many images of each domain, the interval of a kernel distance is wider than the distance between horses and
# zebras (0.13 with EfficientNet-Lite0's features at 64 px): 0.17 for 10 images, 0.12 for 20, 0.07 for 50.
_FEWEST_HELD_OUT = 20


def check_settings(config: RunConfig, method: Method, *, steps: int, images: int, scored: int = 0) -> list[Diagnosis]:
    """Warnings to give before training.

    Args:
        config: the run's settings.
        method: the method, with the networks of these settings.
        steps: of the whole run.
        images: in the training set.
        scored: images of each domain that a validation scores; 0 if there is none.

    Raises:
        UsageError: the generator or the critic would have nothing to learn from, or batch norm nothing to normalise by.
    """
    _check_generator_learns(method)
    _check_batch(config.train, method)
    found = [
        _few_steps(config, method, steps, images),
        _large_learning_rate(config, type(method).train_config),
        _mixed_gradients(config, method),
        _few_held_out(config, method, scored),
    ]
    return [diagnosis for diagnosis in found if diagnosis]


def _check_generator_learns(method: Method) -> None:
    options = method.config
    if method.data == "single" and not options.adversarial_weight and not options.feature_matching:
        raise UsageError(
            f"{setting('adversarial_weight', 0)} leaves the generator nothing to learn from; add "
            f"{setting('feature_matching', 1)}, or leave it at 1"
        )
    if options.adversarial == "wasserstein" and not (_penalised(options) or _spectral(method)):
        raise UsageError(
            f"{setting('adversarial', 'wasserstein')}: without a Lipschitz bound on the critic its loss falls without "
            f"end (Arjovsky et al. 2017, sec. 3); add {setting('gradient_penalty', 10)}, or spectral=true to the "
            f"{setting('discriminator')}"
        )


def _check_batch(train: TrainConfig, method: Method) -> None:
    one_each = train.batch_size == train.gradient_accumulation
    if one_each and any(isinstance(module, nn.BatchNorm1d) for module in method.modules()):
        raise UsageError(
            "batch norm of a latent needs two images or more to normalise by; use "
            f"{setting('batch_size', 2 * train.gradient_accumulation)} or more, or a generator with norm=virtual"
        )


def _few_steps(config: RunConfig, method: Method, steps: int, images: int) -> Diagnosis | None:
    # A given number of steps was chosen; one that follows from epochs depends on how many images there happen to be.
    fewest = method.fewest_steps
    if config.train.steps is not None or steps >= fewest:
        return None
    epochs = math.ceil(fewest * config.train.batch_size / images)
    return Diagnosis(
        f"{steps} steps ({config.train.epochs} epochs of {images} images, batch size {config.train.batch_size}) are "
        f"few for {config.method}: below {fewest} it mostly gives noise or blur",
        f"{setting('steps', fewest)} ({setting('epochs', epochs)}) or more",
    )


def _large_learning_rate(config: RunConfig, default: TrainConfig) -> Diagnosis | None:
    train = config.train
    if train.lr <= _LARGEST_RATE[train.optimizer]:
        return None
    move = {
        "adam": "each step moves a weight by about as much, and weights start at about 0.02",
        "sgd": "each step moves the weights by that many times their gradient",
    }
    usual = default.lr if default.optimizer == train.optimizer else _USUAL_RATE[train.optimizer]
    return Diagnosis(
        f"learning rate {train.lr:g} is far too large for {train.optimizer}: {move[train.optimizer]}; expect losses "
        "that explode and images all black or white",
        setting("lr", f"{usual:g}"),
    )


def _mixed_gradients(config: RunConfig, method: Method) -> Diagnosis | None:
    """Batch norm makes each image's logit depend on its batch (Gulrajani et al. 2017, sec. 4)."""
    options, train = method.config, config.train
    penalised = _penalised(options)
    # In a batch of one, an image is normalised by itself.
    at_fault = train.batch_size > train.gradient_accumulation if penalised else options.adversarial == "wasserstein"
    if not at_fault or not any(isinstance(module, _BatchNorm) for module in _discriminator_modules(method)):
        return None
    what = "a gradient penalty is on each image's own gradient" if penalised else "spectral norm bounds the critic"
    why = "batch norm mixes the images of a batch" if penalised else "batch norm after it takes that bound away"
    return Diagnosis(
        f"batch norm in the discriminator: {what}, and {why}",
        f"a {setting('discriminator')} with norm=instance or norm=none, such as patchgan:norm=instance",
    )


def _few_held_out(config: RunConfig, method: Method, scored: int) -> Diagnosis | None:
    train = config.train
    if not train.validation_features or not train.validate_every or scored >= _FEWEST_HELD_OUT:
        return None
    if scored:
        return Diagnosis(
            f"a kernel distance of {scored} images is too uncertain to choose the best model by: its interval is wide",
            f"{setting('validation_images', 50)}, and as many held-out images",
        )
    folders = "pairs to a folder val" if method.data == "paired" else "images of each domain to folders valA and valB"
    advice = f"move some {folders}, beside those to train on; datasets/README.md lists the layouts"
    return Diagnosis(
        f"{setting('validation_features', train.validation_features)}: there are no held-out images, so nothing is "
        "validated",
        advice if config.paths else "give folders of images (find_layout) in place of a dataset",
    )


def _penalised(options: Method.Config) -> bool:
    return bool(options.gradient_penalty or options.r1)


def _spectral(method: Method) -> bool:
    return any(parametrize.is_parametrized(module, "weight") for module in _discriminator_modules(method))


def _discriminator_modules(method: Method) -> Iterator[nn.Module]:
    for module in method.modules():
        if isinstance(module, Discriminator):
            yield from module.modules()
