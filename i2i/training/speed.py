"""What a training step of a method takes: time and memory."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from i2i.data import find_layout
from i2i.methods import methods
from i2i.training.build import build_run, run_config

# No downloaded weights, and all players move from the first step on.
_OPTIONS: dict[str, dict[str, Any]] = {
    "pix2pixhd": {"perceptual_weight": 0.0},
    "simgan": {"refiner_warmup": 0, "discriminator_warmup": 0},
}
_BATCH_SIZES = {"gan": 64, "ian": 16}  # batch norm after a latent needs several images; other methods train on one


class TrainingSpeed(NamedTuple):
    """What a training step took.

    Attributes:
        seconds: of a step, by images of its batch.
        megabytes: of memory at the most, beyond what was there before.
    """

    seconds: float
    megabytes: float


def measure_training(
    method: str,
    *,
    image_size: int,
    steps: int,
    generator: str | None = None,
    discriminator: str | None = None,
    batch_size: int | None = None,
    **others: Any,
) -> TrainingSpeed:
    """Train on a batch of noise that is in memory already, in this process.

    Memory is that of a process which hasn't done the like before.

    Args:
        method: its name.
        image_size: height and width of an image, in pixels.
        steps: how many are measured, after one that isn't.
        generator: the network; the method's own unless given.
        discriminator: likewise.
        batch_size: images of a step.
        others: settings of the run; see `run_config`.
    """
    kind: Any = methods[method]
    batch_size = batch_size or _BATCH_SIZES.get(method, 1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for name in ("train",) if kind.data == "single" else ("trainA", "trainB"):
            (data / name).mkdir(parents=True)
            Image.new("RGB", (image_size, image_size)).save(data / name / "1.png")
        settings: dict[str, Any] = {"image_size": image_size, "load_size": image_size, "batch_size": batch_size}
        settings |= {"generator": generator, "discriminator": discriminator, **_OPTIONS.get(method, {}), **others}
        config = run_config(method, data, **settings)
        trainer = build_run(config, find_layout([data], data=kind.data), Path(folder) / "run")
        before = _peak(trainer.device)
        batch = {
            side: torch.rand(batch_size, 3, image_size, image_size, device=trainer.device) * 2 - 1
            for side in ("b" if kind.data == "single" else "ab")
        }
        trainer.train_step(batch)
        begun = time.perf_counter()
        for _ in range(steps):
            losses = trainer.train_step(batch)
        float(next(iter(losses.values())))  # waits for the device
        seconds = (time.perf_counter() - begun) / steps / batch_size
        return TrainingSpeed(seconds, _peak(trainer.device) - before)


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
