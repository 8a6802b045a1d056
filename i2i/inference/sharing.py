"""Share a model: a folder with the model file and its card, or a repository of the Hugging Face Hub with both."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple, TypedDict

from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.inference.backends.exported import is_export
from i2i.model_file.card import is_card
from i2i.pretrained import model_file
from i2i.pretrained.hub import CARD, MODEL, upload


class PushOptions(TypedDict, total=False):
    """Options of `push_to_hub`, for type checkers."""

    private: bool
    revision: str | None
    licence: str | None
    message: str
    token: str | None


class Loaded(NamedTuple):
    """A model file as it was when it was loaded."""

    file: Path
    time: int

    @classmethod
    def of(cls, file: Path) -> Loaded:
        """The file as it is now."""
        return cls(file, file.stat().st_mtime_ns)

    @staticmethod
    def unchanged(loaded: Loaded | None) -> Path:
        """The file, if it still is what was loaded; UsageError if not, or if there is none."""
        if loaded is None:
            raise UsageError("this model was not loaded from a model file; write one: i2i.model_file.save_model")
        if Loaded.of(loaded.file) != loaded:
            raise UsageError(f"{loaded.file} has changed since it was loaded; load it again")
        return loaded.file


def save_pretrained(model: str | Path, folder: str | Path, *, licence: str | None = None) -> Path:
    """Write a model file and a model card made from its header into a folder, and return the model file there.

    Args:
        model: the name of a pretrained model, a model file, or a run's folder.
        folder: made if there is none; a card that was written by hand is kept.
        licence: for the card; an identifier that the Hub knows, such as `mit`.

    Raises:
        UsageError: there is no such model, or it isn't a model file of i2i.
        OSError: the folder can't be written.
    """
    file, card = _with_card(model, None, licence)
    target = Path(folder) / MODEL
    if not target.exists():
        write_whole(target, lambda temporary: shutil.copyfile(file, temporary))
    elif not target.samefile(file) and target.read_bytes() != file.read_bytes():
        raise UsageError(f"{target}: there is another model; give another folder, or remove it")
    card_file = Path(folder) / CARD
    if not card_file.exists() or is_card(card_file.read_bytes()):
        write_whole(card_file, card)
    return target


def push_to_hub(
    model: str | Path,
    repository: str,
    *,
    private: bool = False,
    revision: str | None = None,
    licence: str | None = None,
    message: str = "Upload a model of i2i",
    token: str | None = None,
) -> str:
    """Upload a model file and a model card made from its header in one commit, and return the commit's address.

    Args:
        model: the name of a pretrained model, a model file, or a run's folder.
        repository: `USER/NAME`; made if there is none. A card that was written by hand is kept.
        private: whether the repository is to be private.
        revision: the branch; the main one unless given.
        licence: for the card; an identifier that the Hub knows, such as `mit`.
        message: of the commit.
        token: with which to write; by default the one of `hf auth login`.

    Raises:
        UsageError: there is no such model, or it isn't a model file of i2i, huggingface_hub isn't installed, the
            server can't be reached or refuses, or the repository is public and should be private.
    """
    file, card = _with_card(model, repository, licence)
    return upload(
        repository,
        {MODEL: file},
        message=message,
        card=card,
        replace_card=lambda there: there is None or is_card(there),
        private=private,
        revision=revision,
        token=token,
    )


def _with_card(model: str | Path, name: str | None, licence: str | None) -> tuple[Path, bytes]:
    from i2i.model_file import read_header
    from i2i.model_file.card import model_card
    from i2i.model_file.toolkits import is_checkpoint

    file = model_file(model)
    if is_checkpoint(file):
        raise UsageError(f"{file}: a checkpoint of another toolkit; make a model file first: i2i import")
    if is_export(file):
        raise UsageError(f"{file}: an exported file; give the model file that it was made from")
    card = model_card(read_header(file), name=name, size=file.stat().st_size, licence=licence)
    return file, card.encode()
