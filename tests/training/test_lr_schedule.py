"""Learning rates worked out by hand."""

from __future__ import annotations

import itertools
import math

import pytest

from i2i.config import TrainConfig
from i2i.training.lr_schedule import decay_start, learning_rate

SCHEDULES = ["linear", "cosine", "constant"]


def rates(steps: int, **settings: object) -> list[float]:
    config = TrainConfig(lr=2.0, **settings)  # type: ignore[arg-type]
    return [learning_rate(step, steps=steps, config=config) for step in range(steps)]


def test_linear_decay_falls_in_equal_steps_to_just_above_zero() -> None:
    assert rates(8, lr_decay_fraction=0.5) == pytest.approx([2, 2, 2, 2, 2, 1.5, 1.0, 0.5])
    assert rates(4, lr_decay_fraction=1.0) == pytest.approx([2, 1.5, 1.0, 0.5])


def test_cosine_falls_along_half_a_wave() -> None:
    # (1 + cos(pi t)) / 2 after the share t of the fall: 1, 0.854, 0.5, 0.146.
    root = math.sqrt(2) / 2
    assert rates(8, lr_decay_fraction=0.5, schedule="cosine") == pytest.approx([2, 2, 2, 2, 2, 1 + root, 1, 1 - root])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_constant_schedule_or_a_decay_fraction_of_0_stays(schedule: str) -> None:
    assert rates(5, schedule="constant", lr_decay_fraction=1.0) == [2.0] * 5
    assert rates(5, schedule=schedule, lr_decay_fraction=0.0) == [2.0] * 5


def test_warm_up_rises_in_equal_steps_and_never_stands_at_zero() -> None:
    assert rates(6, warm_up=3, schedule="constant") == pytest.approx([0.5, 1.0, 1.5, 2, 2, 2])
    # Where both overlap they are multiplied: 1/3, 2/3, 1 times 1, 3/4, 1/2, 1/4.
    assert rates(4, warm_up=2, lr_decay_fraction=1.0) == pytest.approx([2 / 3, 1.0, 1.0, 0.5])


@pytest.mark.parametrize("warm_up", [0, 50])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_is_a_jump(schedule: str, warm_up: int) -> None:
    found = rates(1000, schedule=schedule, warm_up=warm_up, lr_decay_fraction=0.5)
    assert max(found) == 2.0
    assert min(found) > 0
    largest = max(abs(one - other) for one, other in itertools.pairwise(found))
    assert largest <= 2.0001 * max(math.pi / 2 / 500, 1 / 51 if warm_up else 0)
    assert found[-1] < (0.005 if schedule != "constant" else 2.1)


@pytest.mark.parametrize(("steps", "decay", "start"), [(800, 0.5, 400), (200, 0.25, 150), (7, 0.5, 4), (5, 0.0, 5)])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_decay_start_is_the_first_step_with_a_lower_learning_rate(
    steps: int, decay: float, start: int, schedule: str
) -> None:
    config = TrainConfig(lr=2.0, lr_decay_fraction=decay, schedule=schedule)  # type: ignore[arg-type]
    assert decay_start(steps, config=config) == start
    found = rates(steps, lr_decay_fraction=decay, schedule=schedule)
    assert set(found[:start]) == {2.0}
    assert all(rate < 2.0 for rate in found[start + 1 :])
    assert decay_start(steps, config=TrainConfig(lr_decay_fraction=decay, schedule="constant")) == steps
