"""Read the flags of a command with tyro; flags and one-line messages that the commands share."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import re
import shutil
import sys
import textwrap
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import tyro

from i2i.cli.tyro_rules import Refused, registry
from i2i.cli.unknown_flags import refuse_unknown_flags
from i2i.errors import UsageError, in_flags

T = TypeVar("T")

Quiet = Annotated[bool, tyro.conf.arg(help="Print errors only.")]
Verbose = Annotated[bool, tyro.conf.arg(aliases=("-v",), help="Print more, such as each file and all settings.")]
Imports = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="import", metavar="MODULE")]]

_POSITIONAL = typing.get_args(tyro.conf.Positional[str])[1]
_SPELLINGS = {"imports": ("--import",), "verbose": ("--verbose", "-v")}  # of fields whose flag has another name


def parse(kind: type[T], command: str, args: list[str], about: str, *, default: T | None = None) -> T:
    """Read flags into a dataclass.

    Raises:
        UsageError: an unknown flag, an argument too many, or values that the dataclass refuses.
        SystemExit: with 2 after tyro has printed what is wrong, with 0 after it has printed the help.
    """
    config: tuple[Any, ...] = ()
    if {"-h", "--help"} & set(args):
        args = ["--help"]
        config = (tyro.conf.FlagCreatePairsOff,)  # --no-FLAG is for --resume, and not listed
    else:
        refuse_unknown_flags(args, {"-h", "--help", *flags_of(kind)}, command=command)
    try:
        with _printed_once():
            parsed, rest = tyro.cli(  # type: ignore[call-overload]
                kind,
                prog=f"i2i {command}",
                description=_wrapped(about),
                args=args,
                config=config,
                registry=registry,
                **({} if default is None else {"default": default}),
                return_unknown_args=True,
            )
    except Refused as refused:
        raise refused.error from None
    if rest:
        advice = " (a glob needs quotes)" if Path(rest[0]).exists() else ""
        raise UsageError(f"unexpected argument {rest[0]!r}{advice}; see: i2i {command} --help")
    return cast(T, parsed)


def flags_of(kind: Any) -> Iterator[str]:
    """All flags of a dataclass and of those inside it, such as `--lr`; `--no-swap` beside `--swap`."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for name in (field.name for field in dataclasses.fields(kind)):
        inner, *notes = typing.get_args(hints[name]) if hasattr(hints[name], "__metadata__") else (hints[name],)
        if dataclasses.is_dataclass(inner):
            yield from flags_of(inner)
        elif _POSITIONAL not in notes:
            flag = name.replace("_", "-")
            yield from _SPELLINGS.get(name, (f"--{flag}",))
            if inner is bool:
                yield f"--no-{flag}"


def values_of(flag: str, args: Sequence[str]) -> list[str]:
    """The values of a flag that must be known before the others can be read."""
    after = [value for word, value in itertools.pairwise(args) if word == flag]
    return after + [word.removeprefix(f"{flag}=") for word in args if word.startswith(f"{flag}=")]


def one_or_two(data: Sequence[str]) -> None:
    """Refuse other than one data folder, or two.

    Raises:
        UsageError: none is given, or more.
    """
    if not data:
        raise UsageError("DATA is missing; give a data folder")
    if len(data) > 2:
        raise UsageError(f"{len(data)} data folders given; give one, or two whose files match by name")


def check_json(file: Path | None, command: str, inputs: Iterable[Path]) -> None:
    """Refuse a file for --json that is a folder, or one of the files that the command reads.

    Raises:
        UsageError: it is.
    """
    from i2i.images.outputs import refuse_inputs

    if file and file.is_dir():
        raise UsageError(f"--json {file} is a folder; give a file, such as {command}.json")
    if file:
        refuse_inputs([file], inputs, flag="--json")


def print_error(message: str, code: int) -> int:
    """Print what went wrong, in one line with settings as flags, and return the exit code."""
    print(one_line(in_flags(f"i2i: {message}")), file=sys.stderr)
    return code


def one_line(text: str) -> str:
    """Escape line ends and control characters, which file names may hold."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _wrapped(text: str) -> str:
    """Paragraphs and `- ` items, at the width of the terminal; tyro would join lines that are not indented."""
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    paragraphs = (re.split(r"\n(?=- )", paragraph) for paragraph in text.split("\n\n"))
    return "\n\n".join("\n".join(map(wrapper.fill, items)) for items in paragraphs)


@contextlib.contextmanager
def _printed_once() -> Iterator[None]:
    """Silence tyro's errors in all processes of torchrun but the first."""
    with contextlib.nullcontext() if os.environ.get("RANK", "0") == "0" else contextlib.redirect_stderr(io.StringIO()):
        yield
