"""An unknown flag is answered with the flag that was meant, in one line, before tyro reads the others."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Sequence

from i2i.cli.flag_hints import hint, words_of
from i2i.errors import UsageError


def refuse_unknown_flags(args: Sequence[str], known: Collection[str], *, command: str) -> None:
    """Refuse the first flag that a command doesn't have.

    Args:
        args: the words after the command.
        known: its flags, such as `--lr`; tyro reads `_` as `-`.
        command: such as `translate`, or `train pix2pix`.

    Raises:
        UsageError: naming the nearest flag, or the one that does what this flag does in other programs.
    """
    for word, after in itertools.zip_longest(args, args[1:], fillvalue=""):
        flag, _, value = word.partition("=")
        if re.match(r"--?[a-zA-Z]", flag) and flag.replace("_", "-") not in known:
            advice = _foreign(flag, value or after, known, command) or _nearest(flag, known, command)
            raise UsageError(f"unknown flag {flag!r}{advice} see: i2i {command} --help")


def _foreign(flag: str, value: str, known: Collection[str], command: str) -> str:
    """Our name for another program's flag; empty if it isn't known, or this command has no such flag."""
    here = hint(flag, value, command=command)
    if here is None:
        return ""
    named = set(re.findall(r"--[a-z][a-z0-9-]*(?=[ ,;]|$)", here.partition("i2i ")[0]))
    if named <= set(known):
        return f"; {here};" if here.startswith("not ") else f"; use {here};"
    method = command.removeprefix("train ")
    return ";" if method == command else f"; other methods have {here}, but {method} does not;"


def _nearest(flag: str, known: Collection[str], command: str) -> str:
    words = words_of(command)
    names = {name.lstrip("-"): name for name in [*known, *words] if name not in ("-h", "--help")}
    near = difflib.get_close_matches(flag.lstrip("-").replace("_", "-").lower(), names, n=1)
    if not near:
        return ";"
    name = names[near[0]]
    return f"; use {hint(name, command=command)};" if name in words else f"; did you mean {name}?"
