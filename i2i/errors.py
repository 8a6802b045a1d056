"""The errors that i2i raises for what a caller can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Something was asked that can't be done; the message says what to give instead.

    The command line prints it as one line and exits with 2.
    """


class ImageError(ValueError):
    """One image can't be read or written; a folder conversion names it and goes on."""


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that isn't among `known`: the nearest right name first, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return UsageError(f"unknown {what} {name!r}{hint} there are: {', '.join(names) or 'none'}")
