"""A method and a backbone written outside the package, one file each, as the README shows."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from i2i import translate
from i2i.cli import main
from support.forked import Ended, Server

BACKBONE = '''
"""A backbone of one's own."""
from torch import Tensor, nn
from i2i import Generator, generators

@generators.register("tiny")
class Tiny(Generator):
    """Two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 8) -> None:
        super().__init__()
        first, last = nn.Conv2d(in_channels, width, 3, padding=1), nn.Conv2d(width, out_channels, 3, padding=1)
        self.layers = nn.Sequential(first, nn.ReLU(), last, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Keep the size."""
        return self.layers(x)
'''

OBJECTIVE = '''
"""A method of one's own: pix2pix with an L2 term."""
from dataclasses import dataclass
from i2i.methods import methods
from i2i.methods.pix2pix import Pix2Pix

@methods.register("pix2pix_l2")
class Pix2PixL2(Pix2Pix):
    """L2 in place of L1."""

    @dataclass(frozen=True)
    class Config(Pix2Pix.Config):
        """Its knobs."""

        l2_weight: float = 50.0
        """Weight of the L2 term."""

    def generator_loss(self, images):
        """To pass for real, and to be near the target."""
        losses = super().generator_loss(images)
        losses.pop("l1")
        return losses | {"l2": self.config.l2_weight * (images.fake_b - images.real_b).square().mean()}
'''


def i2i(forks: Server, folder: Path, *words: str | Path) -> Ended:
    """`i2i` in a process that has not imported the plug-ins."""
    return forks.start([str(word) for word in words], folder=folder).wait()


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory, forks: Server, pairs: Path) -> Path:
    """A folder with both files, and a run trained with them."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "my_backbone.py").write_text(BACKBONE)
    (folder / "my_objective.py").write_text(OBJECTIVE)
    words = [
        "--import",
        "my_backbone",
        "--import=./my_objective.py",
        "--generator",
        "tiny:width=4",
        "--l2-weight",
        "20",
    ]
    size = ["--image-size", "32", "--steps", "3", "--log-every", "1", "--run", "run"]
    done = i2i(
        forks, folder, "train", "pix2pix_l2", pairs, *words, "--discriminator", "patchgan:layers=1,width=4", *size
    )
    assert done.code == 0, done.stderr
    assert '"generator/l2"' in (folder / "run" / "metrics.jsonl").read_text()
    return folder


def test_a_run_with_plugins_resumes(plugins: Path, forks: Server, pairs: Path) -> None:
    again = ["train", "pix2pix_l2", pairs, "--run", "run", "--resume", "--steps"]
    for step, words in (("4", ["--import", "my_backbone", "--import", "my_objective"]), ("5", ["--trust-run"])):
        done = i2i(forks, plugins, *again, step, *words)
        assert done.code == 0, done.stderr
        saved = json.loads((plugins / "run" / "config.json").read_text())
        assert [Path(name).stem for name in saved["plugins"]] == ["my_backbone", "my_objective"]


def test_resuming_imports_no_module_that_was_not_asked_for(
    pairs: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark, harm, folder = tmp_path / "harmed", tmp_path / "harm.py", tmp_path / "pix2pix"
    harm.write_text(f"open({str(mark)!r}, 'w').close()")
    shutil.copytree(run, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "plugins": [str(harm), "json.tool"]}))
    words = ["train", "pix2pix", str(pairs), "--run", str(folder), "--resume", "--device", "cpu"]
    for given in ([], ["--import", "json.tool"]):
        assert main([*words, *given]) == 2
        said = capsys.readouterr().err
        assert f"was trained with code of its own, which --resume would run: {harm}" in said
        assert f"add --import {harm}" in said
        assert "or --trust-run\n" in said
        assert ("json.tool" in said) == (not given)
        assert not mark.exists()
    assert main([*words, "--trust-run"]) == 2  # the run is finished
    assert "has done its 12 steps" in capsys.readouterr().err
    assert mark.exists()


def test_its_model_needs_the_backbone_and_says_so(plugins: Path, forks: Server, pairs: Path) -> None:
    words = ["translate", pairs / "val" / "0.png", "out.png", "--model", "run"]
    refused = i2i(forks, plugins, *words)
    assert refused.code == 2
    assert "needs the generator 'tiny' of module 'my_backbone'" in refused.stderr
    assert "--import my_backbone" in refused.stderr
    assert i2i(forks, plugins, *words, "--import", "./my_backbone.py").code == 0
    with Image.open(plugins / "out.png") as written:
        assert written.size == (96, 48)


def app() -> None:
    """What a user's program may do beside its plug-in."""
    sys.path.insert(0, "")
    importlib.import_module("my_backbone")
    print(translate(Image.new("RGB", (31, 17)), "run/model.safetensors").size)


def test_its_model_opens_with_translate_in_an_app(plugins: Path, forks: Server) -> None:
    code, out, said = forks.run(app, folder=plugins).wait()
    assert code == 0, said
    assert out.strip() == "(31, 17)"
