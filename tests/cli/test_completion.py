"""Completion as a shell does it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.cli.commands import commands
from i2i.methods import methods

_TRY = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
$(complete -p i2i | sed 's/.*-F \\([^ ]*\\).*/\\1/')
echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["--print-completion", "bash"]) == 0
    path = tmp_path_factory.mktemp("shell") / "i2i.bash"
    path.write_text(said.getvalue(), encoding="utf-8")
    return path


@pytest.mark.skipif(not shutil.which("bash") or not shutil.which("python3"), reason="needs bash and python3")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], set(commands())),
        (["tr"], {"train", "translate"}),
        (["train", ""], set(methods)),
        (["train", "cut", "--gen"], {"--generator"}),
        (["train", "cyclegan", "--adversarial", "w"], {"wasserstein"}),
        (["translate", "in", "out", "--mod"], {"--model"}),
        (["evaluate", "--ms"], {"--ms-ssim"}),
    ],
)
def test_bash_completes_commands_methods_and_flags(words: list[str], expected: set[str], script: Path) -> None:
    done = subprocess.run(["bash", "-c", _TRY, "bash", script, "i2i", *words], capture_output=True, text=True)
    assert set(done.stdout.split()) - {"-h", "--help"} == expected, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_of_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in (*commands(), *methods, "--contact-sheet", "--l1-weight"))


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", "bsh"]) == 2
    assert "unknown shell 'bsh'; did you mean 'bash'?" in capsys.readouterr().err
    if importlib.util.find_spec("shtab") is None:
        assert main(["--print-completion", "tcsh"]) == 2
        assert "pip install shtab" in capsys.readouterr().err
