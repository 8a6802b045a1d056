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

from i2i.cli import main
from i2i.errors import UsageError
from i2i.inference.ray_engine import on_ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them"),
]

# A network that ends its process: at the sight of a white image always, at that of a black one the first time.
DEADLY = """
import os
import signal
from pathlib import Path

from i2i import Generator, generators


@generators.register("deadly")
class Deadly(Generator):
    def __init__(self, in_channels, out_channels):
        super().__init__()

    def forward(self, x):
        if os.environ.get("DEADLY"):
            seen = Path(os.environ["DEADLY"])
            if x.min() == 1 or (x.max() == -1 and not seen.exists()):
                seen.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return -x
"""


def ray_engine_translates(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "i2i", "translate", *words, "--engine", "ray", "--workers", "2"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def image(path: Path, level: int | None = None, *, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(10, 240, (64, 64, 3), np.uint8)
    Image.fromarray(noise if level is None else np.full_like(noise, level)).save(path)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_results_are_those_of_this_process_byte_for_byte(tmp_path: Path) -> None:
    for number in range(70):  # two chunks
        image(tmp_path / "in" / f"{number % 3}" / f"{number}.png", seed=number)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    words = [str(tmp_path / "in"), "--model", "map2sat-lite"]
    assert main(["translate", words[0], str(tmp_path / "local"), *words[1:]]) == 1
    done = ray_engine_translates([words[0], str(tmp_path / "ray"), *words[1:]])
    assert done.returncode == 1, done.stderr
    assert "broken.png: " in done.stderr
    assert "70 translated to sat" in done.stdout
    assert files_in(tmp_path / "ray") == files_in(tmp_path / "local")
    # The record says what made each file, so that either engine resumes what the other began.
    (tmp_path / "ray" / "0" / "3.png").unlink()
    assert main(["translate", words[0], str(tmp_path / "ray"), *words[1:]]) == 1
    assert files_in(tmp_path / "ray") == files_in(tmp_path / "local")


def test_a_killed_worker_loses_nothing_and_an_image_that_kills_workers_is_named(tmp_path: Path) -> None:
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY)
    make = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import deadly
from pathlib import Path
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
model = Model({{"a2b": build_generator("deadly", in_channels=3, out_channels=3)}}, ("a", "b"), {{}}, {{}}, 1)
save_model(Path({str(tmp_path / "deadly.safetensors")!r}), model)
"""
    subprocess.run([sys.executable, "-c", make], check=True)
    for number in range(20):
        image(tmp_path / "in" / f"{number:02}.png", {7: 255, 11: 0}.get(number), seed=number)
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(tmp_path / "deadly.safetensors")]
    done = ray_engine_translates([*words, "--import", str(plugin)], DEADLY=str(tmp_path / "seen"))
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "seen").exists()
    (failed,) = re.findall(r"(\d+\.png): ends the process that translates it", done.stderr)
    assert failed == "07.png"
    for number in set(range(20)) - {7}:
        with (
            Image.open(tmp_path / "in" / f"{number:02}.png") as a,
            Image.open(tmp_path / "out" / f"{number:02}.png") as b,
        ):
            np.testing.assert_array_equal(255 - np.asarray(a), np.asarray(b))
    assert not (tmp_path / "out" / "07.png").exists()


def test_an_address_where_no_cluster_is_is_refused(tmp_path: Path) -> None:
    image(tmp_path / "in" / "1.png")
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--model", "map2sat-lite"]
    done = ray_engine_translates([*words, "--address", "127.0.0.1:9"])
    assert done.returncode == 2, done.stderr
    assert "i2i: --address 127.0.0.1:9: " in done.stderr


def test_workers_and_address_are_of_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image(tmp_path / "in" / "1.png")
    words = ["translate", str(tmp_path / "in"), str(tmp_path / "out"), "--model", "map2sat-lite"]
    assert main([*words, "--workers", "2"]) == 2
    assert "add --engine ray" in capsys.readouterr().err
    with pytest.raises(UsageError, match="workers 0: it must be 1 or more"):
        on_ray("map2sat-lite", {}, workers=0)
