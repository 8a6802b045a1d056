"""What the READMEs and the pages in docs/ say is true: their code runs, their flags, files and quoted code exist."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.cli.commands import commands
from i2i.cli.flag_hints import _TRAIN, _USE
from i2i.images.formats import _FORMATS
from i2i.methods import methods
from i2i.networks import generators
from i2i.pretrained import model_file
from support.documents import (
    DOCS,
    DOCUMENTS,
    PAGES,
    README,
    READMES,
    ROOT,
    Block,
    blocks,
    name_of,
    prose,
    quoted,
    runnable,
)

START = DOCS / "start.md"
# Pages whose Python runs in a test of their own.
ELSEWHERE = {START, *(DOCS / f"{name}.md" for name in ("hub", "large_datasets", "many_machines", "tracking", "video"))}
# Flags of other programs, and of the command line as a whole.
OTHER_FLAGS = {"--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint", "--no-deps", "--dataroot"}
OTHER_FLAGS |= {"--backend-store-uri", "--logdir"}
OTHER_FLAGS |= {"--print-completion", "--help", "--strict", "--trained", "--phase"}
OTHER_FLAGS |= {"--data-binary", "--output", "--form", "--tag", "--gpus", "--rm", "--publish"}
SMALLER = {r"steps=\d+": "steps=2", r"image_size=\d+": "image_size=32", r'"unet:width=\d+"': '"unet:depth=4,width=4"'}
# The commands of start.md at toy size.
TOY = {"--count 100": "--count 3", "--count 12": "--count 2", "--image-size 128": "--image-size 32"}
TOY |= {"--steps 1000": "--steps 2", "unet:width=16": "unet:depth=4,width=4"}
TOY |= {"patchgan:width=16": "patchgan:layers=1,width=4"}
COMPARED = DOCS / "compared.md"  # names flags of other programs


def in_python(block: Block) -> bool:
    """Whether a block of Python runs by itself here."""
    return not block.code.startswith("import gradio") and block.page not in ELSEWHERE


@pytest.fixture
def my_folder(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data and models that the pages name."""
    (tmp_path / "my_pairs").symlink_to(pairs)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.copy(model_file("map2sat"), tmp_path / "runs" / "mine" / "model.safetensors")
    (tmp_path / "map2sat.safetensors").symlink_to(model_file("map2sat"))
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


def run_python(block: Block) -> dict[str, Any]:
    """Run a block at toy size, and return its names."""
    code = block.code
    if "build_run(" in code:
        for pattern, smaller in SMALLER.items():
            code, count = re.subn(pattern, smaller, code)
            assert count == 1, pattern
    image = Image.fromarray(np.zeros((32, 32, 3), np.uint8))
    names: dict[str, Any] = {"image": image, "images": [image, image], "edges": image, "__name__": "page"}
    exec(compile(code, name_of(block.page), "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize(
    "block",
    [block for block in runnable(*PAGES) if in_python(block)],
    ids=lambda block: f"{name_of(block.page)}: {block.code.splitlines()[0]}",
)
def test_python_on_the_pages_runs(block: Block, my_folder: Path, request: pytest.FixtureRequest) -> None:
    if "runs/shoes" in block.code:
        request.getfixturevalue("shoes")
    if "runs/flowers" in block.code:
        request.getfixturevalue("flowers")
    names = run_python(block)
    if "build_run(" in block.code:
        assert Path(names["model"]).exists()
    if "struct.unpack" in block.code:
        assert names["specs"]["a2b"].startswith("unet:")
        assert names["weight"].size > 0
        assert np.isfinite(names["weight"].astype(np.float32)).all()


@pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")
def test_gradio_on_the_pages_translates() -> None:
    (block,) = (block for block in runnable(*PAGES) if block.code.startswith("import gradio"))
    checks = """
import PIL.Image

assert demo.fn(PIL.Image.new("RGB", (40, 30))).size == (40, 30)
"""
    code = block.code.replace('if __name__ == "__main__":', "if False:")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code + checks], check=True)


def test_the_first_five_minutes_work_at_toy_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets" / "examples").mkdir(parents=True)
    shutil.copy(ROOT / "datasets" / "examples" / "03-big-park.png", tmp_path / "datasets" / "examples")
    commands_run = 0
    for line in "".join(block.code for block in blocks("sh", START)).replace("\\\n", "").splitlines():
        for full, toy in TOY.items():
            line = line.replace(full, toy)
        match shlex.split(line):
            case ["python3", "-m", "venv", *_] | ["pip", *_]:
                continue  # .ci/run installs
            case ["python", script, *words]:
                subprocess.run([sys.executable, str(ROOT / script), *words], check=True, capture_output=True)
            case ["i2i", *words]:
                assert main(words) in ((0, 1) if words[0] == "check" else (0,)), line
            case words:
                pytest.fail(f"not tested: {words}")
        commands_run += 1
    assert commands_run == 11
    assert len(list((tmp_path / "translated").glob("*.png"))) == 1
    assert len(list((tmp_path / "restyled").glob("*.jpg"))) == 1
    for name in ("translated.png", "runs/styles/report.html", "scores.json", "fast.onnx"):
        assert (tmp_path / name).stat().st_size > 0
    (block,) = runnable(START)
    assert run_python(block)["image"].size == (256, 256)
    assert (tmp_path / "map.png").exists()


def test_flags_on_the_pages_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for command in [
        *([name] for name in commands() if name not in ("train", "demo")),
        *(["train", method] for method in methods),
    ]:
        with contextlib.suppress(SystemExit):
            main([*command, "--help"])
    scripts = "".join(script.read_text() for readme in READMES for script in readme.parent.glob("*.py"))
    known = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out + scripts)) | OTHER_FLAGS
    hints = {f"--{name}" for hints in (_TRAIN, _USE) for name in hints}
    for page in DOCUMENTS:
        if page == COMPARED:
            continue
        named = set(re.findall(r"(?<![\w-])--[a-zA-Z][\w-]*", page.read_text()))
        assert named or page not in READMES
        named = {flag.lower().replace("_", "-") if flag not in known else flag for flag in named}
        assert named <= known | hints, page


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_links_on_the_pages_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(page)):
        target = page.parent / link
        if target.parent.name == "notebooks" and target.suffix == ".md":
            target = target.with_suffix(".ipynb")  # the site makes pages of notebooks
        assert target.exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_the_pages_name_exist(page: Path) -> None:
    for path in set(re.findall(r"`((?:i2i|tests|datasets|docs)/[\w/.-]+)`", page.read_text())):
        assert (ROOT / path).exists() or "NAME" in path, path


@pytest.mark.parametrize("page", [page for page in PAGES if quoted(page)], ids=name_of)
def test_quoted_code_is_that_of_the_file(page: Path) -> None:
    for path, code in quoted(page):
        assert code in (ROOT / path).read_text(), (path, code)


def test_each_method_has_a_page_with_its_equation_code_and_figure() -> None:
    for method in methods:
        page = (DOCS / "methods" / f"{'cut' if method == 'fastcut' else method}.md").read_text()
        assert f"i2i.methods.{type_of(method)}" in page
        assert re.search(r"^\$\$.+\$\$$", page, re.MULTILINE)
        assert re.search(r'^```python title="i2i/', page, re.MULTILINE)
        assert re.search(r"^!\[.+\]\(\.\./figures/\w+\.(svg|png|jpg)\)", page, re.MULTILINE)
        assert f"(docs/methods/{'cut' if method == 'fastcut' else method}.md)" in README.read_text()


def type_of(method: str) -> str:
    """The module and the class of a method."""
    found = methods[method]
    return f"{found.__module__.removeprefix('i2i.methods.')}.{found.__name__}"


def test_the_image_contract_lists_the_formats() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| (\.[\w .]+) \| yes \| (.+)$", contract(), re.MULTILINE)
    assert [name for name, *_ in rows] == [entry.name for entry in _FORMATS.values()]
    words = {"icc": "profile", "exif": "EXIF", "dpi": "resolution", "geo": "GeoTIFF"}
    depths = {1: "8 bit", 2: "8, 16 bit", 3: "8, 16 bit, float"}
    for (_, suffixes, rest), entry in zip(rows, _FORMATS.values(), strict=True):
        written, depth, channels, alpha, metadata = rest.removesuffix(" |").split(" | ")
        assert suffixes.split() == list(entry.suffixes)
        if entry.encode is None:
            assert written == "as PNG"
            continue
        assert written.startswith("yes")
        assert depth == depths[len(entry.depths)]
        assert (channels == "any number") == (entry.channels is None)
        assert (alpha == "yes") == entry.alpha
        assert metadata == (", ".join(words[field] for field in words if field in entry.metadata) or "none")


def contract() -> str:
    """The page of the image contract."""
    return (DOCS / "reference" / "image_contract.md").read_text()


def test_each_cell_of_the_comparison_has_a_source() -> None:
    header, _, *rows = re.findall(r"^\| (.+) \|$|^\|(?:---\|)+$", COMPARED.read_text(), re.MULTILINE)
    projects = header.split(" | ")
    assert len(rows) > 20
    for row in rows:
        name, *cells = row.split(" | ")
        assert len(cells) == len(projects) - 1, name
        for cell in cells:
            assert "](" in cell or cell == "not found¹", (name, cell)
    for link in re.findall(r"https://github\.com/[^)\s]+", COMPARED.read_text()):
        assert re.search(r"/(blob|commit)/[0-9a-f]{40}(/|$)", link), link


def test_the_readme_is_short_and_plain() -> None:
    text = README.read_text()
    assert len(text.splitlines()) < 200
    assert not re.search(r"^(:::|!!!|```mermaid)|\$\$|\{ ?\.", text, re.MULTILINE)  # PyPI shows plain Markdown
