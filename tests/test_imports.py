"""Which way imports point, and what importing i2i costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import i2i

ROOT = Path(i2i.__file__).parent

# A module may import those of lower levels, and of its own folder.
LEVELS = [
    {"errors", "__init__"},
    {"registry", "files", "device", "distributed", "config", "stopping", "average", "health", "lock", "formats"},
    {"flag_hints"},
    {"losses", "progress", "gif", "jpeg", "png", "integrity", "header"},
    {"strips"},
    {"tiff"},
    {"image", "networks", "pretrained", "flags", "schedule", "padding", "streams"},
    {"image", "encode", "methods", "outputs", "record"},
    {"data", "checkpoint", "report", "tiling", "scores", "page", "preflight"},
    {"translator", "sampler", "resume", "validation", "jobs"},
    {"convert", "evaluate", "check", "diary", "turns", "pipes"},
    {"trainer"},
    {"commands"},
    {"completion"},
    {"cli"},
    {"__main__"},
]


def level(module: str) -> int:
    return next(index for index, modules in enumerate(LEVELS) if module in modules)


def imports(path: Path) -> set[str]:
    """The first-level modules of i2i that a file imports, anywhere in it, type checking aside."""
    found = set()
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name == "i2i":
                found.add("__init__")
            elif name.startswith("i2i."):
                found.add(name.split(".")[1])
    return found


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_downwards(path: Path) -> None:
    module = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for imported in imports(path):
        assert imported == module or level(imported) < level(module), f"{module} imports {imported}"


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some code."""
    script = f"{code}; import sys; print(' '.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_translator_knows_no_training_code() -> None:
    modules = loaded("import i2i.inference.translator")
    assert not {"i2i.methods", "i2i.data", "i2i.training.trainer", "albumentations"} & modules


def test_importing_i2i_loads_nothing_heavy() -> None:
    assert not {"torch", "numpy", "albumentations", "tyro", "cv2"} & loaded("import i2i")


def test_every_public_name_is_there() -> None:
    assert sorted(i2i.__all__) == i2i.__all__
    for name in i2i.__all__:
        value = getattr(i2i, name)
        assert isinstance(value, i2i.Registry) if name in ("generators", "discriminators") else value.__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = i2i.nothing  # type: ignore[attr-defined]


def test_only_one_file_imports_albumentations() -> None:
    users = [path.name for path in FILES if "import albumentations" in path.read_text()]
    assert users == ["transforms.py"]
