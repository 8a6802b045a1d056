from __future__ import annotations

import json

import pytest

from i2i.cli import main
from support.scenes import SIZE


@pytest.fixture
def found(tmp_path, capsys):
    """Run the command; its exit code, its text, and the findings by kind."""

    def run(*paths, size=SIZE, flags=()):
        file = tmp_path / "findings" / "found.json"
        code = main(["check", *map(str, paths), "--image-size", str(size), "--json", str(file), *flags])
        said = json.loads(file.read_text())
        kinds = [finding["kind"] for finding in said["findings"]]
        assert len(set(kinds)) == len(kinds)
        assert code == int("error" in [finding["severity"] for finding in said["findings"]])
        return capsys.readouterr().out, said, dict(zip(kinds, said["findings"], strict=True))

    return run
