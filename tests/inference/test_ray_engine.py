"""Conversions by two workers of Ray on this machine, as users run them: the command in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.cli import main
from i2i.errors import UsageError
from i2i.inference.ray_engine import on_ray
from support.images import noise, put

ROOT = Path(i2i.__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them"),
]

# A U-Net that ends its process: at the sight of a white image always, at that of a black one the first time.
DEADLY = """
import os
import signal
from pathlib import Path

from i2i import Generator, build_generator, generators


@generators.register("deadly")
class Deadly(Generator):
    multiple = smallest = 16

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.network = build_generator("unet:depth=4,width=16", in_channels=in_channels, out_channels=out_channels)

    def forward(self, x):
        if os.environ.get("DEADLY"):
            seen = Path(os.environ["DEADLY"])
            if x.min() == 1 or (x.max() == -1 and not seen.exists()):
                seen.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.network(x)
"""
SAVE = """
from pathlib import Path

import torch
from i2i import build_generator
from i2i.model_file import Model, save_model

import deadly

torch.manual_seed(0)
generator = build_generator("deadly", in_channels=3, out_channels=3)
save_model(Path("deadly.safetensors"), Model({"a2b": generator}, ("a", "b"), {}, {}, 1))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in sub-folders, two of which end processes, one that can't be read, and the model."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    subprocess.run([sys.executable, "-c", SAVE], cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{ROOT}"}, check=True)
    for number in range(80):  # two chunks
        pixels = noise(32, 32, 3, seed=number)
        level = {7: 255, 11: 0}.get(number)
        path = tmp_path / "in" / f"{number % 3}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels if level is None else np.full_like(pixels, level)).save(path)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    return tmp_path


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_killed_workers_lose_nothing_and_give_the_bytes_that_this_process_gives(folder: Path) -> None:
    words = ["--model", str(folder / "deadly.safetensors"), "--import", str(folder / "deadly.py")]

    def translates(output: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "i2i", "translate", str(folder / "in"), str(folder / output), *words, *more]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)

    local = translates("local")
    assert "80 translated to b" in local.stdout, local.stderr
    on_ray = translates("ray", "--engine", "ray", "--workers", "2", DEADLY=str(folder / "seen"))
    assert on_ray.returncode == 1, on_ray.stderr
    assert (folder / "seen").exists()
    assert re.findall(r"(\d+\.png): ends the process that translates it", on_ray.stderr) == ["07.png"]
    assert "broken.png: " in on_ray.stderr
    assert "79 translated to b" in on_ray.stdout
    expected = files_in(folder / "local")
    assert expected.pop("1/07.png")
    assert files_in(folder / "ray") == expected
    # The record says what made each file, so that the other engine completes the folder.
    completed = translates("ray")
    assert "1 translated to b" in completed.stdout
    assert "79 there already (" in completed.stdout


def test_an_address_where_no_cluster_is_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "in", "1.png")
    words = ["translate", str(tmp_path / "in"), str(tmp_path / "out"), "--model", "map2sat-lite", "--engine", "ray"]
    assert main([*words, "--address", "127.0.0.1:9"]) == 2
    assert "--address 127.0.0.1:9: no Ray cluster answers there" in capsys.readouterr().err


def test_workers_and_address_are_of_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "in", "1.png")
    words = ["translate", str(tmp_path / "in"), str(tmp_path / "out"), "--model", "map2sat-lite"]
    assert main([*words, "--workers", "2"]) == 2
    assert "need --engine ray" in capsys.readouterr().err
    with pytest.raises(UsageError, match="workers 0: it must be 1 or more"):
        on_ray("map2sat-lite", {}, workers=0)
