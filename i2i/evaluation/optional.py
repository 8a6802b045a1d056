"""Libraries and weights that only some scores need."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from types import ModuleType

from i2i.errors import UsageError, setting
from i2i.files import sha256_of


def metrics_module(module: str, *, needed_by: str, requested_by: str) -> ModuleType:
    """Import a module of the optional dependencies `metrics`.

    Args:
        module: its dotted name.
        needed_by: the score that needs it.
        requested_by: the setting that requests the score.

    Raises:
        UsageError: it isn't installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise UsageError(
            f'{needed_by} needs {error.name}, which isn\'t installed: pip install "i2i-toolkit[metrics]", or leave out '
            f"{setting(requested_by)}"
        ) from None


def fetch_weights(load: Callable[[], object], file: Path, *, needed: str, advice: str) -> str:
    """Make sure that a file of weights is there and holds tensors only, and return its SHA-256 hash.

    Args:
        load: loads the file, after downloading it if necessary; with `weights_only`, so that a library that later
            loads the file without it reads nothing but tensors.
        file: where the library looks for the weights.
        needed: which weights are needed by what, for the error.
        advice: what to do if they can't be downloaded.

    Raises:
        UsageError: the weights can't be downloaded, or the file holds something else.
    """
    try:
        load()
        return sha256_of(file)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{needed}, which can't be loaded ({reason}); {advice}") from None
