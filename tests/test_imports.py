"""What importing i2i loads; which way imports point is checked by the contracts in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest

import i2i


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running code."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_translator_and_losses_load_no_training_code_and_no_torchvision() -> None:
    modules = modules_after("import i2i.inference.translator, i2i.losses")
    assert "torch" in modules
    assert not {"i2i.methods", "i2i.data", "i2i.training", "albumentations", "torchvision"} & modules


@pytest.mark.parametrize("code", ["import i2i", "import i2i.report", "from i2i.cli import main; main(['--help'])"])
def test_torch_and_numpy_are_not_loaded(code: str) -> None:
    assert not {"torch", "numpy", "albumentations", "cv2"} & modules_after(code)


def test_importing_i2i_loads_none_of_its_packages() -> None:
    assert {name for name in modules_after("import i2i") if name.startswith("i2i")} == {"i2i", "i2i.version"}


def test_public_names_exist() -> None:
    assert sorted(i2i.__all__) == i2i.__all__
    for name in i2i.__all__:
        value = getattr(i2i, name)
        assert isinstance(value, i2i.Registry) if name in ("generators", "discriminators") else value.__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = i2i.nothing  # type: ignore[attr-defined]
