"""Completion of commands, methods and flags by the shell."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Annotated, Any, Union

import tyro

from i2i.cli.commands import commands
from i2i.cli.tyro_rules import registry
from i2i.errors import UsageError, unknown

SHELLS = ("bash", "zsh", "fish", "tcsh")


def completion(shell: str) -> str:
    """The script that lets a shell complete `i2i`.

    Raises:
        UsageError: it isn't one of `SHELLS`, or needs a package that is not installed.
    """
    if shell not in SHELLS:
        raise unknown("shell", shell, SHELLS)
    from i2i.cli.train_flags import flags_of_method
    from i2i.methods import methods

    kinds = {name: command.Flags for name, command in commands().items()}
    train = _either({name: flags_of_method(name, method) for name, method in dict[str, Any](methods).items()})
    kinds["train"] = dataclasses.make_dataclass("Methods", [("method", train)])
    script = io.StringIO()
    try:
        with contextlib.redirect_stdout(script), contextlib.suppress(SystemExit):
            tyro.cli(
                _either(kinds),
                prog="i2i",
                args=["--tyro-print-completion", shell],
                config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
                registry=registry,
            )
    except ImportError:
        raise UsageError(f"completion for {shell} needs another package: pip install shtab") from None
    return script.getvalue()


def _either(kinds: dict[str, Any]) -> Any:
    return Union[tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())]  # noqa: UP007
