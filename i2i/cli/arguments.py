"""How flags are read, and what commands share: what is wrong becomes one line that says what to type."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import itertools
import os
import re
import shutil
import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar, cast

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

from i2i.cli.flag_hints import hint, words_of
from i2i.errors import UsageError

T = TypeVar("T")


Quiet = Annotated[bool, tyro.conf.arg(help="Print errors and nothing else.")]
Verbose = Annotated[bool, tyro.conf.arg(aliases=("-v",), help="Print more, such as each file and all settings.")]
Imports = tyro.conf.UseAppendAction[Annotated[tuple[str, ...], tyro.conf.arg(name="import", metavar="MODULE")]]


registry = ConstructorRegistry()
_being_described: set[Any] = set()
_METAVARS = {
    "channels": "FROM TO",
    "device": "DEVICE",
    "discriminator": "NETWORK",
    "domains": "A B",
    "features": "NETWORK",
    "generator": "NETWORK",
    "label": "CLASS",
    "model": "MODEL",
    "run": "FOLDER",
    "to": "DOMAIN",
}


def parse(kind: type[T], command: str, args: list[str], about: str, *, default: T | None = None) -> T:
    """Read flags into a dataclass; what is wrong becomes one line that says what to type."""
    said, see = io.StringIO(), f"see: i2i {command} --help"
    config: tuple[Any, ...] = ()
    if {"-h", "--help"} & set(args):
        args = ["--help"]
        config = (tyro.conf.FlagCreatePairsOff,)  # --no-swap is read, for a run that is resumed, but not shown
    try:
        with _columns(), contextlib.redirect_stderr(said):
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
    except SystemExit as stopped:
        if not stopped.code:
            raise
        _refuse_unknown_flags(kind, command, args, default)  # which may be why another is missing
        wrong = _first_sentence(said.getvalue())
        raise UsageError(f"{wrong}{'' if wrong.endswith('?') else ';'} {see}") from None
    if rest:
        _refuse_unknown_flags(kind, command, args, default)
        for flag in (word.partition("=")[0] for word in args if word.endswith(f"={rest[0]}")):
            raise UsageError(f"{flag} takes no value; {see}")
        several = " (several images: their folder, or a glob in quotes)" if command == "translate" else ""
        raise UsageError(f"{rest[0]!r} is one argument too many{several}; {see}")
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
        raise UsageError("which images? give a data folder")
    if len(data) > 2:
        raise UsageError(f"{len(data)} data folders given; give one, or two to match by name")


def print_error(message: str, code: int) -> int:
    """Say what went wrong, in one line, and give the exit code."""
    print(one_line(f"i2i: {message}"), file=sys.stderr)
    return code


def one_line(text: str) -> str:
    """With line ends and the like written out: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


@contextlib.contextmanager
def _columns(most: int = 100) -> Iterator[None]:
    """Let help be as wide as the terminal, up to 100 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(min(shutil.get_terminal_size((most, 24)).columns, most))
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


@registry.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    """Read `X | None` as X: None is what a flag is where it isn't given."""
    inner = [kind for kind in typing.get_args(info.type) if kind is not type(None)]
    if info.type_origin not in (typing.Union, types.UnionType) or len(inner) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(inner[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return spec

    def written(value: Any) -> list[str]:
        return [] if value is None else spec.str_from_instance(value)

    return dataclasses.replace(
        spec, is_instance=lambda value: value is None or spec.is_instance(value), str_from_instance=written
    )


@registry.struct_rule
def _described(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass as tyro reads it; help says what each value is, and no default where there is none to speak of."""
    if not dataclasses.is_dataclass(info.type) or info.type in _being_described:
        return None
    _being_described.add(info.type)
    try:
        spec = ConstructorRegistry.get_struct_spec(info)
    finally:
        _being_described.remove(info.type)
    if not isinstance(spec, StructConstructorSpec):
        return None  # for tyro to refuse
    return dataclasses.replace(spec, fields=tuple(map(_worded, spec.fields)))


def _worded(field: StructFieldSpec) -> StructFieldSpec:
    if dataclasses.is_dataclass(field.default):  # a group of flags
        return field
    words = tyro.conf.arg(help_behavior_hint=_hint, metavar=_METAVARS.get(field.name))
    kind: Any = Annotated[field.type, words]
    said = field.helptext

    def joined() -> str:  # of several lines
        return " ".join(((said() if callable(said) else said) or "").split())

    return dataclasses.replace(field, type=kind, helptext=joined)


def _hint(default: str) -> str:
    return "" if default in ("", "None", "False") else f"(default: {default})"


def _wrapped(text: str) -> str:
    """Paragraphs, and items that begin with a dash, at the width of the help; tyro joins lines without an indent."""
    width = shutil.get_terminal_size().columns
    paragraphs = [re.split(r"\n(?=- )", paragraph) for paragraph in text.split("\n\n")]
    return "\n\n".join(
        "\n".join(textwrap.fill(item, width, subsequent_indent="  ") for item in items) for items in paragraphs
    )


def _refuse_unknown_flags(kind: Any, command: str, args: Sequence[str], default: Any) -> None:
    known = _flags(kind, default)
    for word, after in itertools.zip_longest(args, args[1:], fillvalue=""):
        flag, _, value = word.partition("=")
        name = "--" + flag.lstrip("-").replace("_", "-")
        if not re.match(r"--?[a-zA-Z]", flag) or flag in known or (flag.startswith("--") and name in known):
            continue
        see = f"see: i2i {command} --help"
        if here := hint(flag, value or after, command=command):
            lacking = set(re.findall(r"--[a-z][a-z0-9-]*(?=[ ,;]|$)", here.partition("i2i ")[0])) - set(known)
            if not lacking:
                raise UsageError(f"unknown flag {flag!r}; {here if here.startswith('not ') else f'use {here}'}; {see}")
            if command.startswith("train "):
                method = command.removeprefix("train ")
                raise UsageError(f"unknown flag {flag!r}; elsewhere {here}, which {method} does not have; {see}")
            raise UsageError(f"unknown flag {flag!r}; {see}")
        others = [one for one in known if one not in ("-h", "--help")] + words_of(command)
        near = next(iter(difflib.get_close_matches(name.lower(), others, n=1)), "")
        if near and near not in known:
            raise UsageError(f"unknown flag {flag!r}; use {hint(near, command=command)}; {see}")
        raise UsageError(f"unknown flag {flag!r}; " + (f"did you mean {near}? " if near else "") + see)


def _flags(kind: Any, default: Any) -> list[str]:
    """The flags that a command reads."""
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        tyro.cli(kind, args=["--help"], registry=registry, **({} if default is None else {"default": default}))
    return sorted(set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", shown.getvalue())))


def _first_sentence(box: str) -> str:
    """What tyro says in a box, without the box, the help of each flag, and the advice below its rule."""
    drawn = box.strip("\n").splitlines()
    # The title is in the box's upper edge, or where the terminal has no such characters a line with a rule below it.
    lines = [line[2:].rstrip("│ ") for line in drawn[1 if box.startswith("╭") else 2 :]]
    rule = next((index for index, line in enumerate(lines) if re.match(r"[─-]{4}", line)), len(lines))
    missing = [line.strip() for line in lines[:rule] if re.match(r" {4}\S", line)]
    if lines and lines[0].startswith("Missing from"):
        return f"missing: {', '.join(missing)}"
    said = " ".join(lines[: lines.index("")] if "" in lines[:rule] else lines[:rule])
    return _in_our_words(said.rstrip("."))


def _in_our_words(said: str) -> str:
    """What tyro says of a value: what was given, and what was expected."""
    if wrong := re.match(r"Error parsing (\S+): (invalid literal for int|could not convert string).*?: ('.*')", said):
        return f"{wrong[1]} {wrong[3]}: expected {'a whole number' if 'int' in wrong[2] else 'a number'}"
    if wrong := re.match(r"Error parsing (\S+): Could not parse arguments \[(.*)\] into tuple type .*\[(\w+)", said):
        kinds = {"int": "whole numbers", "float": "numbers"}
        return f"{wrong[1]} {wrong[2].replace(',', '')}: expected {kinds.get(wrong[3], 'names')}"
    if wrong := re.match(r"invalid choice '(.*)' for argument '(\S+)'. Expected one of \((.*?),?\)", said):
        given, flag, choices = wrong.groups()
        listed = choices.replace("'", "")
        near = difflib.get_close_matches(given.lower(), listed.split(", "), n=1)
        return f"{flag} {given!r}: expected one of {listed}" + (f"; did you mean {near[0]}?" if near else "")
    if wrong := re.match(r"Missing value for argument '(\S+)'(?:\. Expected (\d+) values)?", said):
        several = wrong[2] not in (None, "1")
        return f"{wrong[1]} needs {wrong[2] if several else 'a'} value{'s' if several else ''}"
    said = re.sub(r"^Error parsing (?!--)\S+: ", "", said)
    return said.rstrip(".") or "these flags can't be read"
