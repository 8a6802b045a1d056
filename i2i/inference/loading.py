"""Find a model, and load the generator of one direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.inference.backends.exported import is_export, open_export
from i2i.plugins import load_plugins
from i2i.pretrained import model_file

if TYPE_CHECKING:
    from i2i.model_file import Model


def load_direction(model: str | Path, choose: Callable[[Mapping[str, Any]], str]) -> Model:
    """Load a model with the generator of one direction.

    Backbones of installed plug-ins (entry points of group `i2i`) are found; those of other modules must have been
    imported before.

    Args:
        model: the name of a pretrained model, a model file, or a run's folder.
        choose: gives the direction, such as `a2b`, by the file's header; see `read_header`.

    Raises:
        UsageError: there is no such model, or it can't be read.
    """
    from i2i.model_file import load_model, read_header

    load_plugins()
    file = model_file(model)
    return load_model(file, directions=[choose(read_header(file))])


def header_of(file: Path, backend: str = "auto") -> dict[str, Any]:
    """The header of a model file or of an exported file; see `i2i.model_file.read_header`.

    Raises:
        UsageError: there is no such file, or it is neither.
    """
    if is_export(file):
        return open_export(file, backend).header
    from i2i.model_file import read_header

    return read_header(file)
