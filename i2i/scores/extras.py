"""Libraries that only some scores need."""

from __future__ import annotations

import importlib
from types import ModuleType

from i2i.errors import UsageError


def extra(module: str, *, of: str, flag: str) -> ModuleType:
    """Import a module of the extra `metrics`.

    Args:
        module: its dotted name.
        of: the score that needs it.
        flag: the flag that asks for the score.

    Raises:
        UsageError: it isn't installed; the message says how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise UsageError(
            f'{of} needs {error.name}, which isn\'t installed: pip install "i2i-toolkit[metrics]", or leave out {flag}'
        ) from None
