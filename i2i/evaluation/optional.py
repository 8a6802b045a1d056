"""Libraries and weights that only some scores need."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from types import ModuleType

from i2i.errors import UsageError
from i2i.files import sha256_of


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


def fetched(load: Callable[[], object], file: Path, *, needs: str, advice: str) -> str:
    """Have weights in a file, and give the file's SHA-256 sum.

    Args:
        load: reads the file, or downloads it first; with `weights_only`, so that a library that later reads it without
            meets tensors alone.
        file: where the library looks for them.
        needs: what needs which weights.
        advice: what to do where they can't be had.

    Raises:
        UsageError: they aren't there and can't be fetched, or hold something else.
    """
    try:
        load()
        return sha256_of(file)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{needs}, which can't be had ({reason}); {advice}") from None
