"""The errors that i2i raises for what a caller can mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SETTING = re.compile(r"\0(\w+)(?:=([^\0]*))?\0")  # a file name holds no NUL, so that nothing else looks like this


def setting(name: str, value: object = None) -> str:
    """The name of a setting in the message of an error, with the value to give it.

    A Python caller reads `image_size=256`, a user of the command line `--image-size 256`.
    """
    return f"\0{name}\0" if value is None else f"\0{name}={value}\0"


def in_python(text: str) -> str:
    """A text with its settings as Python spells them: `image_size=256`."""
    return _SETTING.sub(lambda found: found[1] + (f"={found[2]}" if found[2] else ""), text)


def in_flags(text: str) -> str:
    """A text with its settings as the command line spells them: `--image-size 256`."""

    def flag(found: re.Match[str]) -> str:
        return f"--{found[1].replace('_', '-')}" + (f" {found[2]}" if found[2] else "")

    return _SETTING.sub(flag, text)


class _Error(ValueError):
    def __str__(self) -> str:
        """The message, with settings as Python spells them."""
        return in_python(super().__str__())

    def with_flags(self) -> str:
        """The message, with settings as the command line spells them."""
        return in_flags(super().__str__())


class UsageError(_Error):
    """Something was asked that can't be done; the message says what to give instead.

    The command line prints it as one line and exits with 2.
    """


class ImageError(_Error):
    """One image can't be read or written; a folder conversion names it and goes on."""


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that isn't among `known`: the nearest right name first, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return UsageError(f"unknown {what} {name!r}{hint} there are: {', '.join(names) or 'none'}")
