"""What runs have sent to experiment trackers, read back with the trackers' own formats, offline."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from i2i.training.trainer import Trainer
from support.forked import command
from support.runs import trainer

NOLOAD = "The ``noload`` loader strategy"  # a DeprecationWarning of SQLAlchemy, for what MLflow calls
_BLOCK, _FIRST_BLOCK_HEADER, _CHUNK_HEADER = 32768, 7, struct.Struct("<IHB")


def offline(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let W&B write to the run folder only, and MLflow to a database in a folder."""
    for name in ("CACHE_DIR", "DATA_DIR", "CONFIG_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(folder / "wandb-files"))
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_NAME", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(folder)  # where MLflow puts artifacts


def tracked(pairs: Path, folder: Path, *names: str, **settings: Any) -> Trainer:
    """A trainer of a small run that is tracked."""
    often = {"steps": 4, "log_every": 2, "sample_every": 4, "validate_every": 4, "samples": 1}
    return trainer(pairs, folder, images={"workers": 0}, **{**often, "track": names, **settings})


def train(words: list[str]) -> int:
    """`i2i` with these words in a fork, where warnings are errors."""
    warnings.filterwarnings("ignore", NOLOAD, DeprecationWarning)
    return command("fork", words)


def logged(folder: Path, name: str) -> list[tuple[int, float]]:
    """The steps and values of a metric in metrics.jsonl."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if name in line]


class WandbRun:
    """What W&B has written for a run offline, in all of its parts."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("wandb").teardown()  # ends the process that writes the files
        self.files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
        self.records = [record for file in self.files for record in _records(file)]
        runs = [record.run for record in self.records if record.HasField("run")]
        self.ids, self.names = {run.run_id for run in runs}, {run.display_name for run in runs}
        self.projects = {run.project for run in runs}
        self.config = {item.key: json.loads(item.value_json) for run in runs for item in run.config.update}
        self.exit_codes = [record.exit.exit_code for record in self.records if record.HasField("exit")]
        self.artifacts = [record.artifact for record in self.records if record.HasField("artifact")]
        self.media = [path for file in self.files for path in file.parent.rglob("*.png")]

    def summary(self) -> dict[str, Any]:
        """The summary by name."""
        updates = [record.summary.update for record in self.records if record.HasField("summary")]
        items = [item for update in updates for item in update]
        return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}

    def history(self, name: str) -> list[tuple[int, Any]]:
        """The steps of a metric, and its values."""
        found = []
        for record in self.records:
            if record.HasField("history"):
                items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
                if name in items:
                    found.append((int(items["_step"]), json.loads(items[name])))
        return found


def _records(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: a log of LevelDB's format, in blocks of chunks."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = file.read_bytes(), _FIRST_BLOCK_HEADER, b""
    while position + _CHUNK_HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _CHUNK_HEADER.size:
            position += left
            continue
        _, length, kind = _CHUNK_HEADER.unpack_from(data, position)
        position += _CHUNK_HEADER.size
        parts += data[position : position + length]
        position += length
        if kind in (1, 4):  # a whole record, or its last chunk
            yield Record.FromString(parts)
            parts = b""
