"""The first lines of `i2i train`: direction, data, networks, length; and a resumed run keeps its direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.cli.arguments import one_line
from i2i.cli.train_flags import as_flags
from i2i.config import DataConfig, RunConfig
from i2i.errors import UsageError

if TYPE_CHECKING:
    from i2i.data import Layout


def introduce(config: RunConfig, layout: Layout, trainer: Any, run: Path) -> None:
    """Print the direction, the data, the networks and the length of a run."""
    from i2i.inference.planning import some_of, unreadable
    from i2i.networks import registry_of
    from i2i.progress import logger

    generators = trainer.method.generators()
    one_way = len(generators) == 1 and layout.matched != "single"
    for line in _data(layout, swap=config.data.swap, may_swap=one_way and not trainer.step):
        print(one_line(line))
    for reason, paths in (found for path in config.paths for found in unreadable(path).items()):
        print(one_line(f"left out: {some_of(paths)}: {reason}"))
    for direction, generator in generators.items():
        count = sum(p.numel() for p in generator.parameters()) / 1e6
        print(f"{direction}: {generator.spec.brief(registry_of(direction))} ({count:.3f} M parameters)")
    if config.preset:
        print(f"preset {config.preset}: {as_flags(trainer.method.presets[config.preset])}")
    print(one_line(f"{_length(config, trainer)}; run folder: {run}"))
    print(one_line(f"report: {run / 'report.html'} (updated during training)"))
    for part in (config.data, config.train, config.options):
        settings = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(part).items())
        logger.info("%s: %s", type(part).__qualname__, settings)


def refuse_other_direction(run: Path, layout: Layout, data: DataConfig) -> None:
    """Refuse to resume a run in the other direction.

    Raises:
        UsageError: what was the input is now the target.
    """
    from i2i.model_file import read_header

    try:
        header = read_header(run / "model.safetensors")
    except UsageError:  # the checkpoint is enough to resume, and the model file is written again
        return
    a, b = header["domains"]
    if layout.domains == (b, a):
        if header["config"].get("data", {}).get("swap") != data.swap:
            fix = "--no-swap" if data.swap else "--swap"
        else:  # --domains named the input first in older versions
            fix = f"--domains {b} {a}" if data.domains and data.swap else f"--domains {a} {b}"
        raise UsageError(f"{run} was trained {a} -> {b}, but the data now reads {b} -> {a}; add {fix} to resume")


def _data(layout: Layout, *, swap: bool, may_swap: bool) -> Iterator[str]:
    """Which images are the input, the target and held out, and how to train the other direction."""
    a, b = layout.domains
    yield layout.description if layout.matched == "single" else f"{a} -> {b}: {layout.description}"
    held = layout.validation
    if held is None:
        count = "none"
    elif layout.matched == "unpaired":
        count = f"{len(held.a)} and {len(held.b)} images"
    else:
        count = f"{len(held.b)} {'images' if layout.matched == 'single' else 'pairs'}"
    advice = f"; to train {b} -> {a} instead, {'leave out' if swap else 'add'} --swap" if may_swap else ""
    yield f"held out: {count}{advice}"


def _length(config: RunConfig, trainer: Any) -> str:
    from i2i.data.direction import counted

    batch, images = config.train.batch_size, len(trainer.dataset)
    epochs = trainer.steps * batch / images
    passes = "1 epoch" if epochs == 1 else f"{epochs:.3g} epochs" if epochs < 1000 else f"{epochs:.0f} epochs"
    what = f"{passes} of {counted(images, 'image')}, batch size {batch}"
    return f"{counted(trainer.steps, 'step')} ({what}) on {trainer.device}, from step {trainer.step}"
