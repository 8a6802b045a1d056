"""What `i2i info` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from i2i.cli import main


def test_info_writes_terminal_escapes_out(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["checksum"]
    header["domains"] = '["\\u001b[2Jmap", "a\\r\\nb\\u202e\\ud800"]'
    header["made_by"] = "\x1b]0;title\x07"
    path = tmp_path / "a\x1b[31m.safetensors"
    save_file(tensors, path, header)
    assert main(["info", str(path)]) == 0
    assert main(["info", str(path), "--json"]) == 0
    said = capsys.readouterr().out
    assert all(letter.isprintable() for line in said.split("\n") for letter in line)
    assert r"\x1b[2Jmap -> a\r\nb\u202e\ud800: unet" in said
    assert r"made by \x1b]0;title\x07" in said
    assert r"a\x1b[31m.safetensors" in said


def test_info_and_models(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run)]) == 0
    said = capsys.readouterr().out
    assert "drawing -> photo: unet:in_channels=3,out_channels=3,depth=4,width=4,norm=batch" in said
    assert "12 steps" in said
    assert main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["domains"] == ["drawing", "photo"]
    assert main(["models"]) == 0
    assert "map2sat" in capsys.readouterr().out


def test_info_of_a_latent_model(drawing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(drawing)]) == 0
    said = capsys.readouterr().out
    assert "latent -> shades: mlp:out_channels=3,image_size=8,latent=4,width=8,layers=2,classes=2,norm=none" in said
    assert "trained with gan on shades, 4 steps, images of 8 px of black, white" in said
    assert f"use it: i2i sample {drawing} samples.png" in said
    assert main(["info", str(drawing), "--json"]) == 0
    header = json.loads(capsys.readouterr().out)
    assert header["preprocess"] == {
        "image_size": 8,
        "channels": [3, 3],
        "depths": [8, 8],
        "classes": ["black", "white"],
    }


def test_info_of_a_model_with_a_latent_input(choosing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(choosing)]) == 0
    said = capsys.readouterr().out
    assert "drawing -> photo: unet:" in said
    assert "latent=8" in said
    assert f"use it: i2i translate INPUT OUTPUT --model {choosing} --samples 5" in said
