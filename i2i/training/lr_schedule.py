"""The learning rate and the length of a run, as functions of the step: resuming needs no state of them."""

from __future__ import annotations

import math

from i2i.config import TrainConfig


def total_steps(config: TrainConfig, *, images: int) -> int:
    """The steps of a run: `steps`, or as many as `epochs` over these images take, but at least `min_steps`."""
    return config.steps or max(math.ceil(config.epochs * images / config.batch_size), config.min_steps)


def learning_rate(step: int, *, steps: int, config: TrainConfig) -> float:
    """The learning rate of a step: it rises over `warm_up`, stays at `lr`, then falls over `lr_decay_fraction`.

    Args:
        step: the steps done before it: 0 in the first.
        steps: of the run.
        config: `lr`, `warm_up`, `schedule` and `lr_decay_fraction`.
    """
    rate = config.lr * min(1.0, (step + 1) / (config.warm_up + 1))
    falling = steps * config.lr_decay_fraction
    if config.schedule == "constant" or not falling:
        return rate
    left = min(1.0, (steps - step) / falling)
    return rate * (left if config.schedule == "linear" else (1 - math.cos(math.pi * left)) / 2)


def decay_start(steps: int, *, config: TrainConfig) -> int:
    """The first step, from 0, with a learning rate below the full one; `steps` where it never falls."""
    return steps if config.schedule == "constant" else math.ceil(steps - steps * config.lr_decay_fraction)
