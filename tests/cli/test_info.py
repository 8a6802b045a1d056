"""What `i2i info` prints."""

from __future__ import annotations

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
