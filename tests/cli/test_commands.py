"""A command is one file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import i2i.cli.commands
from i2i.cli import main
from i2i.cli.commands import commands

HELLO = """
from dataclasses import dataclass

from i2i.cli.arguments import parse

USAGE = "NAME"
SUMMARY = "Greet somebody"


@dataclass(frozen=True)
class Flags:
    loud: bool = False
    \"\"\"Shout.\"\"\"


def run(args: list[str]) -> int:
    flags = parse(Flags, "hello", args, SUMMARY)
    print("HELLO" if flags.loud else "hello")
    return 0
"""


def test_a_new_command_is_one_new_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.setattr(i2i.cli.commands, "__path__", [*i2i.cli.commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "i2i.cli.commands.hello", raising=False)
    commands.cache_clear()
    request.addfinalizer(commands.cache_clear)
    assert main(["--help"]) == 0
    assert "  i2i hello NAME   " in capsys.readouterr().out
    assert main(["hello", "--loud"]) == 0
    assert capsys.readouterr().out == "HELLO\n"
    assert main(["hello", "--help"]) == 0
    assert "Shout." in capsys.readouterr().out
    assert main(["hello", "--luod"]) == 2
    assert "did you mean --loud?" in capsys.readouterr().err
    assert main(["helo"]) == 2
    assert "did you mean 'hello'?" in capsys.readouterr().err
    assert main(["--print-completion", "bash"]) == 0
    assert "--loud" in capsys.readouterr().out


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from i2i.cli import main; assert main(['--help']) == 0; assert main([]) == 0;"
        "assert not {'torch', 'albumentations', 'cv2', 'numpy'} & set(sys.modules), 'loaded too much'"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name, command in commands().items():
        assert f"  i2i {name} {command.USAGE}".rstrip() in text
        assert text.count(f"  {command.SUMMARY}\n") == 2
