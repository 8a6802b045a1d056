"""Checks that no output of a command overwrites one of its inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from i2i.errors import UsageError

_OF_RUN = ("best.safetensors", "model.safetensors", "state.pt", "config.json", "metrics.jsonl")


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path], *, flag: str = "OUTPUT") -> None:
    """Refuse an output that is an input file under any name: through links, `..`, or another case.

    Args:
        outputs: files that will be written; those that don't exist yet overwrite nothing.
        inputs: files that are read; looked at only where an output exists.
        flag: what gave the outputs, for the message.

    Raises:
        UsageError: an output is an input; the message names both.
    """
    existing = {identity: path for path in outputs if (identity := _identity(path))}
    for path in inputs if existing else ():
        identity = _identity(path)
        if identity and (output := existing.get(identity)):
            same = "" if output == path else f", the same file as {output}"
            raise UsageError(f"{flag} would overwrite the input {path}{same}; give another {flag}")


def refuse_inside(folder: Path, data: Iterable[str | Path], *, flag: str) -> None:
    """Refuse an output folder inside a data folder, whose images would become inputs of the next run.

    Raises:
        UsageError: it lies in one of them, or is one.
    """
    for inputs in data:
        if folder.resolve().is_relative_to(Path(inputs).resolve()):
            raise UsageError(
                f"{flag} {folder} lies in the data folder {inputs}, so its images would become training images; "
                f"give a folder elsewhere: {flag} {_elsewhere(folder, inputs)}"
            )


def images_of(data: Iterable[str | Path]) -> list[Path]:
    """The image files of data folders."""
    from i2i.images.reading import images_in

    return [image for folder in data for image in images_in(Path(folder))]


def files_of_model(file: Path) -> list[Path]:
    """A model file, and the files of its run that can't be made again."""
    return [*with_weights(file), *(file.with_name(name) for name in _OF_RUN)]


def with_weights(file: Path) -> list[Path]:
    """The files of an exported network: for an .xml file, also the .bin file beside it."""
    return [file, file.with_suffix(".bin")] if file.suffix.lower() == ".xml" else [file]


def _elsewhere(folder: Path, inputs: str | Path) -> Path:
    outside = Path(inputs).resolve().parent
    return Path(os.path.relpath(outside / "runs" / folder.name))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
