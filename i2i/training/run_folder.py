"""The files of a run: config.json, state.pt, model files and sample grids."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from i2i.config import RunConfig, to_dict
from i2i.data.shards.storage import without_query
from i2i.distributed import launcher
from i2i.errors import UsageError, setting
from i2i.files import write_whole
from i2i.images.grid import save_sample_grid
from i2i.methods import Method
from i2i.model_file import Model, save_model
from i2i.training.checkpoint import save_state
from i2i.training.lock import is_replaced
from i2i.version import __version__ as __version__


@dataclass
class RunFolder:
    """Writes the files of a run, on rank 0.

    Attributes:
        path: the folder.
        config: the run's settings, for config.json and the model file.
        domains: names of a and b.
        preprocess: `image_size`, `channels` and `depths` for the model file, with `classes` where there are labels.
        data: what the checkpoint keeps of the data set; see `describe_data`.
        facts: what the report says about the data set.
    """

    path: Path
    config: RunConfig
    domains: tuple[str, str] = ("A", "B")
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    _created: bool = field(default=False, init=False)
    _removed: bool = field(default=False, init=False)

    @property
    def model_file(self) -> Path:
        """The model of the last checkpoint."""
        return self.path / "model.safetensors"

    @property
    def best_file(self) -> Path:
        """The model with the best validation score."""
        return self.path / "best.safetensors"

    def create(self, *, over: bool) -> None:
        """Make the folder, and write config.json; `over` the run that it holds, to continue it.

        Raises:
            UsageError: it holds a run already, and `over` is not set.
        """
        if not over and (self.path / "state.pt").exists():
            raise UsageError(
                f"{self.path} holds a run already; add {setting('resume')} to resume it, or use another "
                f"{setting('run')}"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_config()
        self._created = True

    def save(self, state: Mapping[str, Any], networks: Mapping[str, Any]) -> bool:
        """Write the model file, then the checkpoint: a run that is killed in between resumes from the one before.

        Returns:
            Whether the folder was still there; one that was removed since training began is made again.

        Raises:
            OSError: a file can't be written.
        """
        removed = self._created and not (self.path / "config.json").exists()
        if removed:
            self._removed = True
            self._write_config()
        save_model(self.model_file, self._model(networks, state["step"]))
        save_state(self.path / "state.pt", state)
        return not removed

    def save_best(self, networks: Mapping[str, Any], step: int) -> None:
        """Write best.safetensors."""
        save_model(self.best_file, self._model(networks, step))

    def save_sample(self, images: Any, step: int) -> Path:
        """Write a sample grid of a method's images, and return its path."""
        path = self.path / "samples" / f"{step:06d}.png"
        save_sample_grid(path, images, domains=self.domains)
        return path

    def is_of_another_run(self) -> bool:
        """Whether another run has started in a folder of this name, since this run's was removed."""
        return not self._removed and (self.path / "config.json").exists() and is_replaced(self.path)

    def refuse_another_run(self) -> None:
        """Raise UsageError where the folder is another run's now."""
        if self.is_of_another_run():
            raise UsageError(
                f"{self.path} was removed while this run trained, and another run writes it now; nothing more of this "
                f"run is written. To train both, start this one again with another {setting('run')}"
            )

    def resume_command(self) -> str:
        """The command that resumes the run."""
        config = self.config
        plugins = [word for module in config.plugins for word in ("--import", module)]
        words = ["train", config.method, *config.paths, "--run", str(self.path), "--resume", *plugins]
        return shlex.join([*launcher(), *words])

    def shared_settings(self) -> dict[str, Any]:
        """The settings for others, in a model file: they don't tell where this machine keeps its images and models."""
        settings = to_dict(self.config)
        settings["plugins"] = [Path(plugin).name for plugin in self.config.plugins]
        settings["paths"] = [Path(without_query(path)).name for path in self.config.paths]
        for part, name in (("options", "model"), ("options", "teacher"), ("train", "init"), ("data", "shard_cache")):
            if settings[part].get(name):
                settings[part][name] = Path(settings[part][name]).name
        return settings

    def describe(
        self, method: Method, *, steps: int, images: int, device: torch.device, world_size: int
    ) -> dict[str, Any]:
        """What the report says about the run, for summary.json."""
        networks, kind = method.generators(), type(method)
        defaults = {"options": kind.Config(), "data": kind.data_config, "train": kind.train_config}
        return {
            "domains": self.domains,
            **self.facts,
            "training_images": images,
            "maps": {name: str(network.spec) for name, network in networks.items()},
            "parameters": {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()},
            "steps": steps,
            "device": str(device),
            "processes": world_size,
            "command": self.resume_command(),
            "defaults": {name: to_dict(config) for name, config in defaults.items()},
        }

    def _write_config(self) -> None:
        described = {**to_dict(self.config), "made_by": f"i2i-toolkit {__version__}"}
        write_whole(self.path / "config.json", json.dumps(described, indent=2).encode())

    def _model(self, networks: Mapping[str, Any], step: int) -> Model:
        return Model(dict(networks), self.domains, dict(self.preprocess), self.shared_settings(), step)
