"""What a data folder holds: its two domains, how their images belong together, and its splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.data.direction import common_folder, common_pattern, counted, same_direction
from i2i.errors import UsageError, setting
from i2i.images.decoded import DecodedImage, PixelArray

IndexArray: TypeAlias = NDArray[np.integer[Any]]

EXPECTED_LAYOUTS = (
    "side-by-side pairs (DATA/train/*.jpg, or DATA/*.jpg), two folders of images with the same names (DATA/A and "
    "DATA/B, or two paths), or DATA/trainA and DATA/trainB"
)


class StoredImage(Protocol):
    """An image file inside something else: a member of a shard, a value in a dataset. `str()` names it in messages."""

    def __hash__(self) -> int: ...

    def read(self, *, max_megapixels: float) -> DecodedImage:
        """Read the whole image.

        Raises:
            ImageError: it can't be read; the message names it.
        """


@dataclass(frozen=True)
class Source:
    """Where an image is stored: in a whole file, or in its left or right half."""

    file: Path | StoredImage
    half: Literal["whole", "left", "right"] = "whole"

    @property
    def path(self) -> Path:
        """The path of an image in a folder."""
        assert isinstance(self.file, Path)
        return self.file

    def of(self, pixels: PixelArray) -> PixelArray:
        """Cut this image out of the pixels of its file, (H, W) or (H, W, C)."""
        middle = pixels.shape[1] // 2
        columns = {"whole": slice(None), "left": slice(middle), "right": slice(middle, 2 * middle)}
        return pixels[:, columns[self.half]]


class Images(Sequence[Source], ABC):
    """Images that are no files of their own. Each `Source` is made when it is asked for: there may be millions."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where they are stored, in words."""

    @property
    @abstractmethod
    def checksums(self) -> tuple[str, str]:
        """Checksums of the names and of the sizes of the images, by which a resumed run sees whether they changed."""

    def order(self, rng: np.random.Generator) -> IndexArray:
        """The indices in the order of an epoch: each once."""
        return rng.permutation(len(self))

    def prefetch(self, order: IndexArray, offset: int) -> None:
        """Begin to fetch what will be read some time after this offset of an epoch; by default nothing."""


@dataclass(frozen=True)
class Problem:
    """Files that can't be part of a pair and are therefore in no split.

    Attributes:
        kind: `no_partner` of the same name, `same_name` as another file, `not_two` images side by side, or
            `unreadable` because of a damaged header.
        message: what `find_layout` raises.
        files: the files; where several have the same name, first the one that is in the split.
    """

    kind: Literal["no_partner", "same_name", "not_two", "unreadable"]
    message: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Split:
    """The images of one split.

    Attributes:
        a: images of domain a, files or `Images`; empty for a single set of images.
        b: images of domain b; for pairs, `a[i]` and `b[i]` are partners.
        labels: class index of each image in `b`, where there are classes.
        problems: files that were left out; `find_layout` raises the first.
        name: of the split's folder: `train`, `val`, `test`, or empty where the images lie in the data folder itself.
    """

    a: Sequence[Source]
    b: Sequence[Source]
    labels: Sequence[int] = ()
    problems: tuple[Problem, ...] = ()
    name: str = ""

    def swapped(self) -> Split:
        """Return the split with domains a and b exchanged."""
        return replace(self, a=self.b, b=self.a)


@dataclass(frozen=True)
class Layout:
    """What was found in a data folder.

    Attributes:
        matched: how the images of a and b belong together: as `halves` of one file, by `name`, or not at all
            (`unpaired`); `single` where there is one set of images only.
        domains: names of a, the input, and b, the target.
        train: images to train on; empty where a folder holds nothing but held-out images.
        validation: held-out images (val, test, valA, testA), or None.
        classes: names of the classes; empty without labels.
    """

    matched: Literal["halves", "name", "unpaired", "single"]
    domains: tuple[str, str]
    train: Split
    validation: Split | None
    classes: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Which half or folder is the input and which the target, and how many images there are to train on."""
        return self.describe(self.train if self.train.b or not self.validation else self.validation)

    def describe(self, split: Split) -> str:
        """Describe a split: which half or folder is the input and which the target, and how many images it has."""
        a, b = self.domains
        where_a, where_b = (_where(images, split, self.matched) for images in (split.a, split.b))
        if self.matched == "single":
            kind = f"{len(self.classes)} classes ({', '.join(self.classes)})" if self.classes else "a single set"
            return f"{where_b}: {kind} of {counted(len(split.b), 'image')}"
        if self.matched == "halves":
            half_a, half_b = (split.a[0].half, split.b[0].half) if split.a else ("left", "right")
            pairs = counted(len(split.a), "pair")
            return f"input {a} = {half_a} half, target {b} = {half_b} half of {where_a} ({pairs})"
        input_, target = f"input {a} = {where_a}", f"target {b} = {where_b}"
        if self.matched == "name":
            by_name = "" if isinstance(split.a, Images) else " by name"
            return f"{input_}, {target} ({counted(len(split.a), 'pair')}{by_name})"
        count_a, count_b = counted(len(split.a), "image"), counted(len(split.b), "image")
        return f"{input_} ({count_a}), {target} ({count_b}), unpaired"

    def swapped(self) -> Layout:
        """Return the layout with domains a and b, and their names, exchanged."""
        validation = self.validation.swapped() if self.validation else None
        return replace(self, domains=self.domains[::-1], train=self.train.swapped(), validation=validation)

    def with_domains(self, domains: tuple[str, str]) -> Layout:
        """Name the domains (input, target); the images are swapped where the folders' names say the opposite.

        Raises:
            UsageError: the names are equal, or one of them is the name of the other domain's folder.
        """
        a, b = domains
        if a == b:
            raise UsageError(f"{setting('domains', domains)}: the domains need different names")
        folder_a, folder_b = self.domains
        if domains != (folder_b, folder_a) and (a == folder_b or b == folder_a):
            raise UsageError(
                f"{setting('domains', domains)}: the folders are named {folder_a} and {folder_b}; give these two "
                "names, or two new ones"
            )
        opposite = same_direction(domains, self.domains) is False
        return replace(self.swapped() if opposite else self, domains=domains)


def _where(images: Sequence[Source], split: Split, matched: str) -> str:
    if isinstance(images, Images):
        return images.where
    left_out = [path for problem in split.problems for path in problem.files]
    paths = [source.path for source in images] or left_out
    if not paths:
        return ""
    return common_pattern(paths) if matched == "halves" else common_folder(paths)
