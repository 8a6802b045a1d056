"""Small trained models that several tests of the command line look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from support.commands import DRAWS
from support.runs import SMALL


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single set of images of 12 pixels in two classes: train (4 each) and val (1 each)."""
    root = tmp_path_factory.mktemp("data") / "shades"
    for split, count in (("train", 4), ("val", 1)):
        for index, name in enumerate(("black", "white")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                level = 200 * index + 10 * number
                Image.new("RGB", (12, 12), (level, level, level)).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def drawing(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of gan with labels, 4 steps."""
    folder = tmp_path_factory.mktemp("runs") / "shades"
    words = ["train", "gan", str(shades), "--labels", *DRAWS, "--run", str(folder), "--batch-size", "4"]
    assert main([*words, "--steps", "4", "--log-every", "2", "--samples", "9"]) == 0
    return folder


@pytest.fixture(scope="session")
def choosing(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of bicyclegan, 3 steps, of which each latent gives an output of its own."""
    folder = tmp_path_factory.mktemp("runs") / "many"
    own = ["--encoder-width", "4", "--domains", "drawing", "photo", "--lr", "0.02", "--samples", "2"]
    discriminator = ["--discriminator", "patchgan:layers=1,width=4,scales=1"]
    words = ["train", "bicyclegan", str(pairs), "--run", str(folder), *SMALL, *discriminator, *own]
    assert main([*words, "--steps", "3", "--log-every", "3"]) == 0
    return folder
