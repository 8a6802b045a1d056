"""What a check finds, and the words that findings share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.scan import ImageInfo
from i2i.data.layout import Source
from i2i.errors import in_python

Severity = Literal["error", "warning", "note"]


class FileGroup(NamedTuple):
    """One file, or several that belong together, such as copies of one image; and what is special about them."""

    paths: tuple[Path, ...]
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """A fact about a data set that its user should know.

    Attributes:
        kind: an identifier for scripts.
        severity: `error` where training would fail or learn something wrong, `warning` where it may, else `note`.
        message: what was found; settings in it are those of `i2i.errors.setting`.
        advice: what to do about it; settings likewise.
        files: all files concerned.
    """

    kind: str
    severity: Severity
    message: str
    advice: str
    files: tuple[FileGroup, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values."""
        files = [{"paths": list(map(str, group.paths)), "detail": group.detail} for group in self.files]
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": in_python(self.message),
            "advice": in_python(self.advice),
            "files": files,
        }


@dataclass(frozen=True)
class DomainImages:
    """The readable images of a domain, those to train on before those held out.

    Attributes:
        domain: its name.
        sources: where the images are stored.
        images: what was noted about each.
        held_out: whether each is held out.
    """

    domain: str
    sources: tuple[Source, ...]
    images: tuple[ImageInfo, ...]
    held_out: NDArray[np.bool_]

    def files(
        self, condition: Callable[[ImageInfo], bool], *, detail: Callable[[ImageInfo], str] = lambda _: ""
    ) -> tuple[FileGroup, ...]:
        """The files of the images that fulfil a condition."""
        entries = zip(self.sources, self.images, strict=True)
        return tuple(FileGroup((source.path,), detail(image)) for source, image in entries if condition(image))


def counted(number: int, thing: str, verb: Literal["", "is", "has"] = "") -> str:
    """`1 image`, `2 images`; `1 image is`, `2 images are`."""
    plural = {"": "", "is": "are", "has": "have"}
    return (f"1 {thing} {verb}" if number == 1 else f"{number} {thing}s {plural[verb]}").rstrip()


def share_of(number: int, total: int, of: str = "") -> str:
    """`all 3 images are`, `1 of 3 images of A is`."""
    if number == total:
        return f"the only image{of} is" if total == 1 else f"all {total} images{of} are"
    return f"{number} of {total} images{of} {'is' if number == 1 else 'are'}"


def paths_of(sources: Iterable[Source]) -> tuple[Path, ...]:
    """The files of sources, each once."""
    return tuple(dict.fromkeys(source.path for source in sources))
