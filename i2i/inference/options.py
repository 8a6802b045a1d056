"""Options of a translation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

from i2i.images.inputs import ValueRange


class Options(TypedDict, total=False):
    """Options of a translation, for type checkers; see `Translator.__call__`."""

    seed: int | None
    tile: int | None
    value_range: ValueRange | None


class LoadOptions(TypedDict, total=False):
    """Options of `Translator.load`, for type checkers."""

    to: str | None
    device: str
    backend: str
    invert_dark: bool


class BatchOptions(TypedDict, total=False):
    """Options of `Translator.batch`, for type checkers."""

    batch_size: int
    seeds: Iterable[int] | None
    tile: int | None
    value_range: ValueRange | None
    callbacks: Callbacks | None


def _warn(_: int, message: str) -> None:
    warnings.warn(message, stacklevel=2)


@dataclass(frozen=True)
class Callbacks:
    """What is called while large images are translated.

    Attributes:
        on_progress: called for each tile with the fraction of its image that is done.
        on_fallback: called with the index of an image that is too large for the memory, and what was done instead.
    """

    on_progress: Callable[[float], None] | None = None
    on_fallback: Callable[[int, str], None] = _warn
