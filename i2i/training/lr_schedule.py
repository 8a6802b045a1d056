"""The learning rate as a function of the step, so that a run that goes on needs no state of it."""

from __future__ import annotations

import math

from i2i.config import TrainConfig


def learning_rate(step: int, *, steps: int, config: TrainConfig) -> float:
    """The rate of a step counted from 0: risen over `warm_up`, then `lr`, then falling over the last share `decay`.

    Args:
        step: from 0.
        steps: of the run.
        config: `lr`, `warm_up`, `schedule`, `decay`.
    """
    rate = config.lr * min(1.0, (step + 1) / (config.warm_up + 1))
    falling = steps * config.lr_decay_fraction
    if config.schedule == "constant" or not falling:
        return rate
    left = min(1.0, (steps - step) / falling)
    return rate * (left if config.schedule == "linear" else (1 - math.cos(math.pi * left)) / 2)


def decay_start(steps: int, *, config: TrainConfig) -> int:
    """The step, counted from 0, from which on the rate falls: all before it are at the full rate; `steps` for never."""
    return steps if config.schedule == "constant" else math.ceil(steps - steps * config.lr_decay_fraction)
