"""A run from its settings: checks, networks, data and the trainer."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import ImageDataset, Layout, find_layout
from i2i.data.dataset import endless
from i2i.data.hugging_face import find_in_dataset, is_hugging_face
from i2i.data.loader import default_workers
from i2i.data.shards import ShardCache
from i2i.device import pick_device
from i2i.distributed import rank, world_size
from i2i.errors import UsageError, renamed, setting
from i2i.evaluation.features import feature_networks
from i2i.evaluation.pixels import check_grey_or_colour
from i2i.methods import Method, methods
from i2i.training.callbacks import Callbacks
from i2i.training.initial_weights import start_from
from i2i.training.listing import describe_data
from i2i.training.lr_schedule import decay_start, total_steps
from i2i.training.preflight import check_settings
from i2i.training.presets import defaults_of, replaced
from i2i.training.resume import generator_of, restore
from i2i.training.run_folder import RunFolder
from i2i.training.synchronize import broadcast_references
from i2i.training.tracking import check_trackers
from i2i.training.trainer import Trainer
from i2i.training.validation import Validation


def run_config(method: str, *paths: str | Path, preset: str = "", **settings: Any) -> RunConfig:
    """The settings of a run: those given, over the method's defaults or a preset, as on the command line.

    Args:
        method: its name, such as "pix2pix".
        paths: a folder of images, or two; none for a dataset of your own.
        preset: named settings of the method, such as "quality".
        settings: fields of `DataConfig`, `TrainConfig` and the method's `Config`, such as `image_size=128`.

    Raises:
        UsageError: there is no such method, preset or setting, or a value is out of range.
    """
    options, data, train = replaced(defaults_of(methods[method], preset), settings)
    return RunConfig(method, tuple(map(str, paths)), options, data, train, preset=preset)


def build_run(
    config: RunConfig,
    data: Layout | Dataset[Any] | None,
    folder: str | Path,
    *,
    resume: bool = False,
    device: str | None = None,
    callbacks: Callbacks | None = None,
) -> Trainer:
    """A trainer as the command line makes it; `fit()` trains.

    Args:
        config: the run's settings; see `run_config`.
        data: the images that `find_layout` found; None to find them in the paths of the settings. A Dataset or
            DatasetDict of Hugging Face's `datasets` with columns of images; see `find_in_dataset`. Or any map-style
            dataset of {"a": (C, S, S), "b": (C, S, S)}, float in [-1, 1], of `image_size` and `channels`; only `b` for
            a method of a single set of images.
        folder: the run folder, where config.json, metrics.jsonl, samples/, report.html, state.pt and model.safetensors
            are written.
        resume: resume from the checkpoint in the folder.
        device: overrides the one of the settings.
        callbacks: called after logging, validation, sampling and saving, and for warnings.

    Raises:
        UsageError: the settings don't fit each other, the data or this machine, or there is no checkpoint to resume
            from.
    """
    train, folder = config.train, Path(folder)
    if data is None:
        data = layout_of(config)
    elif not isinstance(data, Layout) and is_hugging_face(data):
        data = _of_hugging_face(config, data)
    _check_batch_size(train)
    check_trackers(train.track)
    if train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    method = _method(config, data, generator=train.generator or (generator_of(folder) if resume else None))
    if train.init and not resume:
        start_from(train.init, method)
    if isinstance(data, Layout):
        parts = _of_layout(method, config, data, folder, device=pick_device(device or train.device))
    else:
        parts = _of_dataset(method, config, data, folder)
    images, steps = len(parts["dataset"]), total_steps(train, images=len(parts["dataset"]))
    scored = parts["validation"].count if parts["validation"] else 0
    warnings = check_settings(config, method, steps=steps, images=images, scored=scored)
    trainer = Trainer(
        method,
        settings=train,
        warnings=warnings,
        callbacks=callbacks,
        workers=config.data.workers,
        device=device,
        **parts,
    )
    if resume:
        restore(trainer, folder)
        if trainer.step >= trainer.steps:
            raise UsageError(
                f"{folder} has done its {trainer.step} steps; give more {setting('steps')} or {setting('epochs')} to "
                "train on"
            )
    elif method.needs_reference_batch():
        _show_reference_batch(trainer)
    return trainer


def layout_of(config: RunConfig) -> Layout:
    """The images in the paths of the settings; see `find_layout`."""
    kind: Any = methods[config.method]
    data = config.data
    cache = ShardCache.of(data.shard_cache, gigabytes=data.shard_cache_gb)
    return find_layout(
        config.paths, data=kind.data, domains=data.domains, swap=data.swap, labels=data.labels, cache=cache
    )


def _of_hugging_face(config: RunConfig, dataset: Dataset[Any]) -> Layout | Dataset[Any]:
    """The images in the rows of a dataset; the dataset itself if it makes its samples itself."""
    kind: Any = methods[config.method]
    data = config.data
    found = find_in_dataset(dataset, data=kind.data, domains=data.domains, swap=data.swap, labels=data.labels)
    return found or dataset


def _check_batch_size(train: TrainConfig) -> None:
    divisor = world_size() * train.gradient_accumulation
    if train.batch_size % divisor:
        each = f" in {train.gradient_accumulation} micro-batches each" if train.gradient_accumulation > 1 else ""
        raise UsageError(
            f"batch size {train.batch_size} can't be divided among {world_size()} ranks{each}; use a multiple of "
            f"{divisor}: {setting('batch_size', math.ceil(train.batch_size / divisor) * divisor)}"
        )


def _method(config: RunConfig, data: Any, *, generator: str | None) -> Method:
    kind: Any = methods[config.method]
    backbones = kind.backbones(
        generator,
        config.train.discriminator,
        image_size=config.data.image_size,
        channels=config.data.channels,
        classes=len(data.classes) if isinstance(data, Layout) else 0,
    )
    torch.manual_seed(config.train.seed)
    method: Method = kind(config.options, backbones)
    return method


def _of_layout(
    method: Method, config: RunConfig, layout: Layout, folder: Path, *, device: torch.device
) -> dict[str, Any]:
    """The arguments of a trainer on image files."""
    train, data = config.train, config.data
    common: dict[str, Any] = {
        "paired": method.data == "paired",
        "image_size": data.image_size,
        "load_size": _load_size(data),
        "channels": data.channels,
        "seed": train.seed,
        "max_megapixels": data.max_megapixels,
    }
    steps = total_steps(train, images=max(len(layout.train.a), len(layout.train.b)))
    workers = default_workers(device) if data.workers is None else data.workers
    dataset = ImageDataset(
        layout.train,
        augment=data.augment,
        cache_bytes=int(data.cache_gb * 1e9) // max(1, workers),
        uncropped_from=decay_start(steps, config=train) * train.batch_size if data.crop == "before_decay" else None,
        **common,
    )
    preprocess = {"image_size": data.image_size, "channels": data.channels, "depths": dataset.depths()}
    run = RunFolder(
        folder,
        config,
        domains=layout.domains,
        preprocess=preprocess | ({"classes": layout.classes} if layout.classes else {}),
        data=describe_data(layout, config.paths),
        facts={
            "layout": layout.description,
            "held_out_images": len(layout.validation.b) if layout.validation else 0,
        },
    )
    preview = ImageDataset(layout.validation or layout.train, **common).fixed(train.samples)
    validation = _validation(method, config, layout, device=device, **common)
    return {"dataset": dataset, "run": run, "preview": preview, "validation": validation}


def _validation(
    method: Method, config: RunConfig, layout: Layout, *, device: torch.device, **common: Any
) -> Validation | None:
    """Scores on held-out images, on rank 0; None without such images, or where nothing scores unpaired ones."""
    train, features = config.train, config.train.validation_features
    # What is generated from noise is compared with training images where none are held out.
    held_out = layout.validation or (layout.train if method.data == "single" else None)
    if rank() > 0 or held_out is None or not train.validate_every or not (features or method.data == "paired"):
        return None
    network = None
    if features:
        for channels in config.data.channels if held_out.a else config.data.channels[1:]:
            check_grey_or_colour(channels, requested_by="validation_features")
        if min(train.validation_images, *(len(sources) for sources in (held_out.a, held_out.b) if sources)) < 2:
            raise UsageError(f"{setting('validation_features')} compares sets of 2 images or more; leave it out")
        try:
            with torch.random.fork_rng(devices=[]):  # a network draws its first weights
                network = feature_networks[features](device)
        except UsageError as error:
            raise UsageError(renamed(error.args[0], "features", "validation_features")) from None
    sets = (ImageDataset(split, **common) for split in (held_out, layout.train))
    return Validation(*sets, count=train.validation_images, network=network)


def _of_dataset(method: Method, config: RunConfig, data: Dataset[Any], folder: Path) -> dict[str, Any]:
    """The arguments of a trainer on a dataset of the caller's."""
    dataset, size = endless(data, seed=config.train.seed), config.data.image_size
    sample = dataset[0]
    for name, channels in zip("ab", config.data.channels, strict=True):
        found = tuple(sample[name].shape) if name in sample else "missing"
        if found != (channels, size, size) and not (name == "a" and method.data == "single"):
            channels_setting = setting("channels", config.data.channels)
            raise UsageError(
                f"{name!r} of the dataset's first sample is {found}; {setting('image_size', size)} and "
                f"{channels_setting} expect {(channels, size, size)}"
            )
    run = RunFolder(
        folder,
        config,
        domains=config.data.domains or ("A", "B"),
        preprocess={"image_size": size, "channels": config.data.channels, "depths": (8, 8)},
        facts={"layout": f"{type(data).__name__} of {len(dataset)} samples"},
    )
    return {"dataset": dataset, "run": run, "validation": None}


def _load_size(data: DataConfig) -> int:
    crops = data.augment and data.crop != "never"
    size = data.load_size or (round(data.image_size * 286 / 256) if crops else data.image_size)
    if size < data.image_size:
        raise UsageError(f"load size {size} is below image size {data.image_size}; raise {setting('load_size')}")
    return size


@torch.no_grad()
def _show_reference_batch(trainer: Trainer) -> None:
    """Let each network with virtual batch norm take its first input as its reference batch."""
    samples = [trainer.dataset[index] for index in range(trainer.settings.vbn_batch)]
    trainer.method(trainer.to_device(default_collate(samples)))
    broadcast_references(trainer.method)
