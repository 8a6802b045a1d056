"""Checkpoint files, from which a run resumes."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.training.integrity import Damaged, check_archive, state_checksum
from i2i.version import __version__ as __version__

STATE_FORMAT = "i2i-state/2"
_READABLE = ("i2i-state/1", STATE_FORMAT)  # the first had no checksum


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write all that a run needs to resume: tensors, numbers and text alone, and a checksum of them.

    Raises:
        OSError: the folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    whole = {**state, "format": STATE_FORMAT, "made_by": f"i2i-toolkit {__version__}"}
    whole["checksum"] = state_checksum(whole)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(whole, file)

    write_whole(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state whose archive and checksum are as they were written; nothing in it is executed.

    Raises:
        UsageError: there is none, it is damaged, or another version of i2i wrote it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no saved state to go on from; leave out --resume to begin anew")
    try:
        check_archive(path)
        state = _unpickled(path)
        if not isinstance(state, dict) or not str(state.get("format")).startswith("i2i-state/"):
            raise Damaged("it holds something else than the state of a run")
        found, said = str(state["format"]), state.pop("checksum", None)
        if found not in _READABLE:
            wrote = str(state.get("made_by", "another i2i"))[:60]
            raise UsageError(
                f"{path}: written by {wrote} as {found[:60]}, and this i2i {__version__} reads {STATE_FORMAT}; "
                "upgrade it: pip install --upgrade i2i-toolkit"
            )
        if (found == STATE_FORMAT or said is not None) and said != state_checksum(state):
            raise Damaged("its checksum differs")
    except Damaged as error:
        raise UsageError(f"{path} can't be read as a saved state: {error}") from None
    return state


def _unpickled(path: Path) -> Any:
    """What an archive holds; PyTorch's own message may advise to switch its protection off, and is not passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise Damaged("it holds something else than tensors, numbers and text, which is never loaded") from None
    except Exception:
        raise Damaged("its entries don't fit each other") from None
