"""A model to edit on, and a server of its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from i2i.model_file import Model, save_model
from i2i.networks import build_latent_generator


class Served(NamedTuple):
    url: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def manifold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of a generator from latents."""
    torch.manual_seed(0)
    generator = build_latent_generator("dcgan:width=4,latent=4", out_channels=3, image_size=16, classes=0)
    for weight in generator.parameters():
        weight.data *= 8  # untrained, its images would all be grey
    path = tmp_path_factory.mktemp("models") / "dots.safetensors"
    save_model(path, Model({"z2b": generator}, ("a", "dots"), {"image_size": 16}, {"method": "gan"}, 1))
    return path


@pytest.fixture(scope="module")
def served(run: Path, manifold: Path) -> Iterator[Served]:
    """`i2i serve` with a small translator, `boxes`, and a small manifold, `dots`."""
    words = [sys.executable, "-m", "i2i", "serve", str(run), str(manifold), "--port", "0", "--device", "cpu"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"2 models at (http://localhost:\d+)", process.stdout.readline())
        assert found
        yield Served(found[1], process)
        process.terminate()
        assert process.wait(20) in (0, -15)
