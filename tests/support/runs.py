"""Small runs, and whether two checkpoints are equal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import find_layout
from i2i.methods import methods
from i2i.training.build import build_run
from i2i.training.checkpoint import load_state
from i2i.training.trainer import Trainer

SMALL = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4", "--image-size", "32"]


def scene(seed: int, size: int = 48) -> tuple[Image.Image, Image.Image]:
    """A drawing of a few boxes, and the same boxes in other colours with texture."""
    rng = np.random.default_rng(seed)
    drawing = np.full((size, size, 3), 235, np.uint8)
    photo = rng.integers(20, 60, (size, size, 3)).astype(np.uint8)
    for _ in range(3):
        top, left = rng.integers(0, size - 16, 2)
        drawing[top : top + 14, left : left + 14] = (160, 200, 120)
        photo[top : top + 14, left : left + 14] = (200, 120, 60)
    return Image.fromarray(drawing), Image.fromarray(photo)


def trainer(
    data: Path,
    folder: Path,
    method: str = "pix2pix",
    *,
    resume: bool = False,
    options: dict[str, object] | None = None,
    images: dict[str, object] | None = None,
    **train: object,
) -> Trainer:
    settings: dict[str, object] = {"steps": 6, "log_every": 2, "sample_every": 100, "samples": 2, "device": "cpu"}
    settings |= {"validate_every": 0, **train}  # it would take half of the time
    specs = {"generator": "unet:depth=4,width=4", "discriminator": "patchgan:layers=1,width=4"}
    kind = methods[method]
    config = RunConfig(
        method,
        (str(data),),
        kind.Config(**(options or {})),
        DataConfig(**{"image_size": 32, **(images or {})}),
        TrainConfig(**{**specs, **settings}),
    )
    return build_run(config, find_layout([data], data=kind.data), folder, resume=resume)


class Running(Protocol):
    """A process, as `subprocess.Popen` and `support.forked.Process` are."""

    def poll(self) -> int | None: ...


def wait_for_step(process: Running, folder: Path, step: int, *, timeout: float = 120) -> None:
    """Wait until a run has logged a step."""
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + timeout
    while not (metrics.exists() and f'"step": {step},' in metrics.read_text()):
        assert process.poll() is None, "the run has ended"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def states_equal(one: Path, two: Path) -> None:
    """Assert that the checkpoints of two run folders have equal steps, weights, optimizers and random numbers."""
    states = [load_state(folder / "state.pt") for folder in (one, two)]
    for state in states:
        for optimizer in state["optimizers"].values():
            del optimizer["param_groups"]  # settings, which may differ
    assert_equal_states(
        *({part: state[part] for part in ("step", "method", "optimizers", "random")} for state in states)
    )


def assert_equal_states(one: Any, other: Any, where: str = "state") -> int:
    """Assert that two checkpoints are equal bit for bit, and count their tensors."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, where
        assert torch.equal(one, other), where
        return 1
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        return sum(assert_equal_states(one[key], other[key], f"{where}/{key}") for key in one)
    if isinstance(one, list | tuple):
        assert len(one) == len(other), where
        return sum(
            assert_equal_states(*both, f"{where}/{index}") for index, both in enumerate(zip(one, other, strict=True))
        )
    assert one == other, where
    return 0
