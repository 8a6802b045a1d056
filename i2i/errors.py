"""The errors that i2i raises for problems that a caller can fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SETTING = re.compile(r"\0(\w+)(?:=([^\0]*))?\0")  # a file name holds no NUL, so that nothing else looks like this
_COMMA = "\1"  # before each part of a value that is a tuple


def setting(name: str, value: object = None) -> str:
    """The name of a setting in a message, with the value to give it.

    A Python caller reads `image_size=256` or `channels=(1, 3)`, a user of the command line `--image-size 256` or
    `--channels 1 3`.
    """
    if isinstance(value, tuple):
        value = _COMMA.join(["", *map(str, value)])
    return f"\0{name}\0" if value is None else f"\0{name}={value}\0"


def in_python(message: str) -> str:
    """A message with its settings as Python spells them: `image_size=256`."""

    def argument(found: re.Match[str]) -> str:
        value = found[2] or ""
        if value.startswith(_COMMA):
            parts = [part if re.fullmatch(r"-?[\d.]+", part) else repr(part) for part in value.split(_COMMA)[1:]]
            value = f"({', '.join(parts)})"
        return found[1] + (f"={value}" if value else "")

    return _SETTING.sub(argument, message)


def in_flags(message: str) -> str:
    """A message with its settings as the command line spells them: `--image-size 256`."""

    def flag(found: re.Match[str]) -> str:
        value = (found[2] or "").removeprefix(_COMMA).replace(_COMMA, " ")
        return f"--{found[1].replace('_', '-')}" + (f" {value}" if value else "")

    return _SETTING.sub(flag, message)


def renamed(message: str, old: str, new: str) -> str:
    """A message in which a setting has another name, for a caller that has its own setting for it."""
    return _SETTING.sub(lambda found: setting(new if found[1] == old else found[1], found[2]), message)


class _Error(ValueError):
    def __str__(self) -> str:
        return in_python(super().__str__())

    def with_flags(self) -> str:
        """The message, with settings as the command line spells them: `--image-size 256`."""
        return in_flags(super().__str__())


class UsageError(_Error):
    """A request that can't be met; the message says what to give instead.

    The command line prints it as one line and exits with 2.
    """


class ImageError(_Error):
    """One image can't be read or written; a folder conversion names it and continues with the others."""


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that isn't among `known`: the nearest right name first, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return UsageError(f"unknown {what} {name!r}{hint} there are: {', '.join(names) or 'none'}")
