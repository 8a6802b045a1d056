"""How flags are read, and what commands share: what is wrong becomes one line that says what to type."""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, cast

import tyro

from i2i.errors import UsageError

T = TypeVar("T")


Quiet = Annotated[bool, tyro.conf.arg(help="Print errors and nothing else.")]
Verbose = Annotated[bool, tyro.conf.arg(aliases=("-v",), help="Print more, such as each file and all settings.")]
Imports = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="import", metavar="MODULE")]]


def parse(kind: type[T], command: str, args: list[str], about: str, *, default: T | None = None) -> T:
    """Read flags into a dataclass; what is wrong becomes one line that says what to type."""
    said, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ.setdefault("COLUMNS", "110")
    try:
        with contextlib.redirect_stderr(said):
            parsed, rest = tyro.cli(  # type: ignore[call-overload]
                kind,
                prog=f"i2i {command}",
                description=about,
                args=args,
                **({} if default is None else {"default": default}),
                return_unknown_args=True,
            )
    except SystemExit as stopped:
        if not stopped.code:
            raise
        raise UsageError(f"{_first_sentence(said.getvalue())}; see: i2i {command} --help") from None
    finally:
        if columns is None:
            os.environ.pop("COLUMNS", None)
    if rest:
        if not rest[0].startswith("-"):
            raise UsageError(f"{rest[0]!r} is one argument too many; see: i2i {command} --help")
        flag = rest[0].partition("=")[0]
        near = difflib.get_close_matches(flag, _flags(kind, default), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown flag {flag!r}; {hint}see: i2i {command} --help")
    return cast(T, parsed)


def values_of(flag: str, args: Sequence[str]) -> list[str]:
    """The values of a repeatable flag that must be known before the others can be read."""
    after = [value for word, value in itertools.pairwise(args) if word == flag]
    return after + [word.removeprefix(f"{flag}=") for word in args if word.startswith(f"{flag}=")]


def one_or_two(data: Sequence[str]) -> None:
    """Refuse other than one data folder, or two.

    Raises:
        UsageError: none is given, or more.
    """
    if not data:
        raise UsageError("which pictures? give a data folder")
    if len(data) > 2:
        raise UsageError(f"{len(data)} data folders given; give one, or two to match by name")


def complain(message: str, code: int) -> int:
    """Say what went wrong, in one line, and give the exit code."""
    print(one_line(f"i2i: {message}"), file=sys.stderr)
    return code


def one_line(text: str) -> str:
    """With line ends and the like written out: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _flags(kind: Any, default: Any) -> list[str]:
    """The flags that the help of a command shows."""
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        tyro.cli(kind, args=["--help"], **({} if default is None else {"default": default}))
    return sorted(set(re.findall(r"--[a-z][a-z0-9-]*", shown.getvalue())))


def _first_sentence(box: str) -> str:
    """What tyro says in a box, without the box, the help of each flag, and the advice below its rule."""
    drawn = box.strip("\n").splitlines()
    # The title is in the box's upper edge, or where the terminal has no such characters a line with a rule below it.
    lines = [line[2:].rstrip("│ ") for line in drawn[1 if box.startswith("╭") else 2 :]]
    rule = next((place for place, line in enumerate(lines) if re.match(r"[─-]{4}", line)), len(lines))
    missing = [line.strip() for line in lines[:rule] if re.match(r" {4}\S", line)]
    if lines and lines[0].startswith("Missing from"):
        return f"missing: {', '.join(missing)}"
    said = " ".join(lines[: lines.index("")] if "" in lines[:rule] else lines[:rule])
    wrong = re.match(r"Error parsing (\S+): no type matching (.+) could be instantiated from \[(.*)\]", said)
    if wrong:
        flag, expected, given = wrong.groups()
        return f"{flag} {given.replace(', ', ' ')}: expected {re.sub(r'[{}]', '', expected.removeprefix('{None}|'))}"
    said = re.sub(r"^Error parsing (?!--)\S+: ", "", said)
    return said.rstrip(".") or "these flags can't be read"
