"""What the READMEs say is true: their Python runs, their flags and files exist, the figure shows the imports."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.cli import main
from i2i.cli.commands import commands
from i2i.cli.flag_hints import _TRAIN, _USE
from i2i.methods import methods
from i2i.networks import generators
from i2i.pretrained import model_file

ROOT = Path(i2i.__file__).parent
README = Path(__file__).parent.parent / "README.md"
READMES = [README, *(README.parent / folder / "README.md" for folder in ("datasets", "pretrained"))]
# Flags of other programs, and of the command line as a whole.
OTHER_FLAGS = {"--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint", "--no-deps", "--dataroot"}
OTHER_FLAGS |= {"--print-completion", "--help"}
OTHER_FLAGS |= {"--data-binary", "--output", "--form", "--tag", "--gpus", "--rm", "--publish"}
SMALLER = {r"steps=\d+": "steps=2", r"image_size=\d+": "image_size=32", r'"unet:width=\d+"': '"unet:depth=4,width=4"'}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def of_gradio(code: str) -> bool:
    return code.startswith("import gradio")


def imports_of(package: str) -> set[str]:
    """The packages that a package imports, from within functions too."""
    found = set()
    for file in (ROOT / package).rglob("*.py"):
        found |= set(re.findall(r"^\s*(?:from|import) i2i\.(\w+)", file.read_text(), re.MULTILINE))
    return found - {package}


@pytest.fixture
def my_folder(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data and models that the README names."""
    (tmp_path / "my_pairs").symlink_to(pairs)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.copy(model_file("map2sat"), tmp_path / "runs" / "mine" / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(generators, "_builders", dict(generators._builders))
    return tmp_path


@pytest.fixture
def shoes(my_folder: Path) -> Path:
    """A model of BicycleGAN."""
    run = my_folder / "runs" / "shoes"
    small = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["--image-size", "32", "--steps", "1", "--encoder-width", "4", "--validate-every", "0"]
    assert main(["train", "bicyclegan", "my_pairs", "--run", str(run), *small, *words]) == 0
    return run


@pytest.fixture
def flowers(my_folder: Path) -> Path:
    """A model of IAN."""
    run = my_folder / "runs" / "flowers"
    small = ["--generator", "ian:width=4", "--discriminator", "ian:width=4,minibatch=2"]
    words = ["--image-size", "16", "--steps", "1", "--batch-size", "2", "--validate-every", "0"]
    assert main(["train", "ian", "my_pairs/train", "--run", str(run), *small, *words]) == 0
    return run


@pytest.mark.parametrize(
    "code", [c for c in blocks("python") if not of_gradio(c)], ids=lambda code: code.splitlines()[0]
)
def test_python_in_the_readme_runs(code: str, my_folder: Path, request: pytest.FixtureRequest) -> None:
    if "runs/shoes" in code:
        request.getfixturevalue("shoes")
    if "runs/flowers" in code:
        request.getfixturevalue("flowers")
    if "build_run" in code:
        for pattern, smaller in SMALLER.items():
            code, count = re.subn(pattern, smaller, code)
            assert count == 1, pattern
    image = Image.fromarray(np.zeros((32, 32, 3), np.uint8))
    names = {"image": image, "images": [image, image], "edges": image, "__name__": "readme"}
    exec(compile(code, "README.md", "exec", dont_inherit=True), names)
    if "build_run" in code:
        assert Path(names["model"]).exists()


@pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")
def test_gradio_in_the_readme_translates() -> None:
    (code,) = filter(of_gradio, blocks("python"))
    checks = """
import PIL.Image

assert demo.fn(PIL.Image.new("RGB", (40, 30))).size == (40, 30)
"""
    code = code.replace('if __name__ == "__main__":', "if False:")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code + checks], check=True)


def test_flags_in_the_readmes_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for command in [
        *([name] for name in commands() if name not in ("train", "demo")),
        *(["train", method] for method in methods),
    ]:
        with contextlib.suppress(SystemExit):
            main([*command, "--help"])
    scripts = "".join(script.read_text() for readme in READMES for script in readme.parent.glob("*.py"))
    known = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out + scripts)) | OTHER_FLAGS
    for readme in READMES:
        named = set(re.findall(r"(?<![\w-])--[a-zA-Z][\w-]*", readme.read_text()))
        assert named
        named = {flag.lower().replace("_", "-") if flag not in known else flag for flag in named}
        assert named <= known | {f"--{name}" for hints in (_TRAIN, _USE) for name in hints}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_links_in_the_readmes_lead_to_files(readme: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", readme.read_text()):
        assert (readme.parent / link).exists(), link


def test_files_that_the_readme_names_exist() -> None:
    paths = set(re.findall(r"`((?:i2i|tests|datasets)/[\w/.-]+)`", README.read_text()))
    assert paths
    for path in paths:
        assert (README.parent / path).exists() or "NAME" in path, path


def test_figure_shows_the_imports_between_packages() -> None:
    (figure,) = blocks("mermaid")
    arrows = {(a, b) for a, b in re.findall(r"^ +(\w+)\S*.*? --> (\w+)", figure, re.MULTILINE)}
    packages = {package for arrow in arrows for package in arrow}
    assert packages == {path.parent.name for path in ROOT.glob("*/__init__.py")}

    def reached(package: str) -> set[str]:
        following = {b for a, b in arrows if a == package}
        return following.union(*map(reached, following))

    for package in packages:
        following = {b for a, b in arrows if a == package}
        assert following <= imports_of(package)
        assert imports_of(package) & packages <= reached(package)
        for other in following:  # no arrow that follows from others
            assert not any(other in reached(between) for between in following - {other}), (package, other)
