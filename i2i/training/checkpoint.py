"""Checkpoint files (state.pt), from which a run resumes."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from i2i.errors import UsageError, setting
from i2i.files import write_whole
from i2i.training.integrity import Damaged, check_archive, state_checksum
from i2i.version import __version__ as __version__

STATE_FORMAT = "i2i-state/3"


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint: tensors, numbers and text only, and a checksum of them.

    Raises:
        OSError: the folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    whole = {**state, "format": STATE_FORMAT, "made_by": f"i2i-toolkit {__version__}"}
    whole["checksum"] = state_checksum(whole)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(whole, file)

    write_whole(path, write)


def load_state(path: Path, *, advice: str = "") -> dict[str, Any]:
    """Read a checkpoint whose archive and checksum are as they were written; nothing in it is executed.

    Args:
        path: state.pt of a run.
        advice: ends the message of an error about a damaged file.

    Raises:
        UsageError: there is none, it is damaged, or another version of i2i wrote it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no checkpoint to resume from; leave out {setting('resume')} to start a run")
    try:
        check_archive(path)
        state = _unpickled(path)
        if not isinstance(state, dict) or not str(state.get("format")).startswith("i2i-state/"):
            raise Damaged("it is not a checkpoint of i2i")
        if state["format"] != STATE_FORMAT:
            raise _other_version(path, state)
        if state.pop("checksum", None) != state_checksum(state):
            raise Damaged("its checksum differs")
    except Damaged as error:
        raise UsageError(f"{path} can't be read as a checkpoint: {error}{advice}") from None
    return state


def _other_version(path: Path, state: Mapping[str, Any]) -> UsageError:
    found, wrote = str(state["format"])[:60], str(state.get("made_by", "another i2i"))[:60]
    older = found in ("i2i-state/1", "i2i-state/2")
    what_to_do = (
        f"finish the run with the i2i that wrote it, or train again with another {setting('run')}; model.safetensors "
        "there still translates"
        if older
        else "upgrade: pip install --upgrade i2i-toolkit"
    )
    return UsageError(
        f"{path}: written by {wrote} as {found}, and this i2i {__version__} resumes {STATE_FORMAT}; {what_to_do}"
    )


def _unpickled(path: Path) -> Any:
    """The content of an archive; PyTorch's own message advises to switch its protection off, and is not passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise Damaged("it holds something other than tensors, numbers and text, which is never loaded") from None
    except Exception:
        raise Damaged("its entries don't fit each other") from None
