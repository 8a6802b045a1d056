"""Commands that must be refused, and the images that commands write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.images.reading import read

DRAWS = ["--generator", "mlp:latent=4,width=8", "--discriminator", "mlp:width=8,pieces=2", "--image-size", "8"]


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that must be refused, with exit code 2 and nothing on stdout; what stderr says, on one line."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return " ".join(err.replace("│", " ").split())


def refused_in_a_line(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that must be refused with one line of our own; the line."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("i2i: ")
    assert err.count("\n") == 1
    return err.removeprefix("i2i: ").rstrip()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def levels_of(path: Path) -> np.ndarray:
    return read(path).pixels.astype(int)
