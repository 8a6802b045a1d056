"""Findings on the images of a set, each in plain words, with the files and what to do about them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.alignment import CorrelationMap, Shift, common_shift, outliers, unrelated
from i2i.data.check.scan import ImageInfo
from i2i.data.folders import Layout, Problem, Source

Severity = Literal["error", "warning", "note"]


class FileGroup(NamedTuple):
    """Files that belong together, such as copies of one image, or a single one; and what there is to say of them."""

    paths: tuple[Path, ...]
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """Something to know about a data set.

    Attributes:
        kind: a word that stays the same, for scripts.
        severity: `error` where training would fail or learn something wrong, `warning` where it may, else `note`.
        says: what was found, a sentence.
        do: what to do about it.
        files: where, all of them.
    """

    kind: str
    severity: Severity
    says: str
    do: str
    files: tuple[FileGroup, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        files = [{"paths": list(map(str, named.paths)), "detail": named.detail} for named in self.files]
        return {"kind": self.kind, "severity": self.severity, "says": self.says, "do": self.do, "files": files}


@dataclass(frozen=True)
class DomainImages:
    """The images of a domain that can be read, those to learn from before those held out.

    Attributes:
        domain: its name.
        sources: where they are.
        looks: what was seen of them.
        held_out: whether they are held out.
    """

    domain: str
    sources: tuple[Source, ...]
    looks: tuple[ImageInfo, ...]
    held_out: NDArray[np.bool_]

    def files(
        self, fits: Callable[[ImageInfo], bool], says: Callable[[ImageInfo], str] = lambda _: ""
    ) -> tuple[FileGroup, ...]:
        """The files of the images that fit, and what to say of each."""
        both = zip(self.sources, self.looks, strict=True)
        return tuple(FileGroup((source.path,), says(look)) for source, look in both if fits(look))


def counted(number: int, thing: str, verb: Literal["", "is", "has"] = "") -> str:
    """`1 image`, `2 images`; `1 image is`, `2 images are`."""
    words = f"1 {thing} {verb}" if number == 1 else f"{number} {thing}s {_PLURAL[verb]}"
    return words.rstrip()


_PLURAL = {"": "", "is": "are", "has": "have"}


def share(number: int, whole: int, of: str = "") -> str:
    """`all 3 images are`, `1 of 3 images of A is`."""
    if number == whole:
        return f"all {whole} images{of} are"
    return f"{number} of {whole} images{of} {'is' if number == 1 else 'are'}"


def paths_of(sources: Iterable[Source]) -> tuple[Path, ...]:
    """The files of sources, each once."""
    return tuple(dict.fromkeys(source.path for source in sources))


def of_names(layout: Layout) -> Iterable[Finding]:
    """Two sets of equal numbers that may be pairs, had their files the same names."""
    splits = [split for split in (layout.train, layout.validation) if split and split.b]
    if all(split.a and len(split.a) == len(split.b) for split in splits):
        a, b = layout.domains
        says = f"as many images of {a} as of {b}, but most names differ: taken for two sets"
        yield Finding("names", "note", says, "nothing, if they are no pairs; else give partners the same name")


def of_splits(layout: Layout) -> Iterable[Finding]:
    """A folder that has held-out images alone."""
    if layout.validation and not layout.train.b:
        says = f"all images are held out ({layout.validation.name}): i2i evaluate takes them, i2i train does not"
        yield Finding("held_out_only", "note", says, "nothing, or put images to train on in a folder train")


def of_layout(problems: Sequence[Problem], looks: dict[Path, ImageInfo], failed: dict[Path, str]) -> Iterable[Finding]:
    """Files that make no pairs, with their looks, and files that can't be read, with the reasons."""
    by_kind = {kind: [p for p in problems if p.kind == kind] for kind in ("alone", "same_name", "not_two")}
    alone = [path for problem in by_kind["alone"] for path in problem.files]
    if alone:
        yield Finding(
            "no_partner",
            "error",
            f"{counted(len(alone), 'image', 'has')} no partner of the same name",
            "rename or remove them, or train without pairs (cyclegan, cut)",
            tuple(FileGroup((path,)) for path in alone),
        )
    if by_kind["same_name"]:
        files = tuple(FileGroup(problem.files) for problem in by_kind["same_name"])
        says = f"{counted(len(files), 'name', 'is')} given twice in a folder; pairs match by name up to the suffix"
        yield Finding("same_name", "error", says, "keep one file of each name", files)
    halves = [path for problem in by_kind["not_two"] for path in problem.files if path in looks]
    if halves:
        says = f"{counted(len(halves), 'file', 'is')} not two images side by side, of an even width above the height"
        files = tuple(FileGroup((path,), _size_of(looks[path])) for path in halves)
        yield Finding("not_two", "error", says, "mend or remove them", files)
    if failed:
        files = tuple(FileGroup((path,), reason) for path, reason in sorted(failed.items()))
        says = f"{counted(len(files), 'file')} can't be read"
        yield Finding("unreadable", "error", says, "mend or remove them", files)


def of_sizes(columns: Sequence[DomainImages], image_size: int) -> Iterable[Finding]:
    """Images smaller than the crop, and images far from square."""
    looks = [look for column in columns for look in column.looks]
    small = [n for c in columns for n in c.files(lambda x: min(x.width, x.height) < image_size, _size_of)]
    if small:
        fits = 2 ** int(np.log2(min(min(look.width, look.height) for look in looks)))
        do = "remove them, or " if len(small) <= len(looks) / 10 else ""
        do += f"give --image-size {fits}" if fits >= 16 else "find larger ones"
        says = f"{share(len(small), len(looks))} smaller than {image_size} pixels and would be enlarged"
        yield Finding("small", "warning", says, do, _unless_all(small, looks))
    long = [n for c in columns for n in c.files(lambda x: not 0.8 <= x.width / x.height <= 1.25, _size_of)]
    if long and len(long) >= len(looks) / 10:
        says = f"{share(len(long), len(looks))} far from square: training squeezes each to a square"
        do = "cut them into squares first if shapes matter"
        yield Finding("not_square", "note", says, do, _unless_all(long, looks))
    several = [n for column in columns for n in column.files(lambda x: x.frames > 1, lambda x: f"{x.frames} images")]
    if several:
        says = f"{counted(len(several), 'file', 'has')} several images, of which only the first is used"
        yield Finding("frames", "warning", says, "save each as a file of its own", tuple(several))


def of_pair_sizes(a: DomainImages, b: DomainImages) -> Iterable[Finding]:
    """Pairs of two sizes or of two shapes, and pairs of an image with itself."""
    sizes, shapes, equal = [], [], []
    for i, (one, two) in enumerate(zip(a.looks, b.looks, strict=True)):
        named = FileGroup((a.sources[i].path, b.sources[i].path), f"{_size_of(one)} and {_size_of(two)}")
        if abs(one.width * two.height / (one.height * two.width) - 1) > 0.02:
            shapes.append(named)
        elif (one.width, one.height) != (two.width, two.height):
            sizes.append(named)
        elif one.digest == two.digest:
            equal.append(FileGroup(paths_of((a.sources[i], b.sources[i]))))
    if shapes:
        says = f"{counted(len(shapes), 'pair', 'has')} two shapes: each image is squeezed to a square by itself"
        yield Finding("pair_shapes", "warning", says, "cut both images of a pair alike", tuple(shapes))
    if sizes:
        says = f"{counted(len(sizes), 'pair', 'has')} one shape but two sizes: training resizes both to one"
        yield Finding("pair_sizes", "note", says, "nothing, if that is what you meant", tuple(sizes))
    if equal:
        says = f"{counted(len(equal), 'pair', 'is')} an image with itself: {a.domain} and {b.domain} are equal"
        yield Finding("equal_pair", "warning", says, "remove them, or look how they were made", tuple(equal))


def of_registration(a: DomainImages, b: DomainImages, surfaces: CorrelationMap) -> Iterable[Finding]:
    """A shift that all pairs share, pairs that are shifted against the rest, and pairs that seem to be none."""
    common = common_shift(surfaces)
    if common and unrelated(surfaces, common):
        says = f"in none of the pairs do outlines of {a.domain} and {b.domain} agree, wherever one looks"
        do = "look whether the partners belong together; if not, train without pairs (cyclegan, cut)"
        yield Finding("unrelated", "warning", says, do)
    if common is None or not common.clear:
        return
    width, height = (statistics.median(getattr(look, side) for look in b.looks) for side in ("width", "height"))
    far = np.hypot(common.right * width, common.down * height)
    # What is below a pixel at 256 x 256 is lost in training.
    if far >= max(1.0, min(width, height) / 256) and far >= 4 * common.error * max(width, height):
        says = (
            f"{b.domain} lies {_way(common, width, height)} from {a.domain} in all pairs (±{common.error * width:.1f}; "
            f"the peak is {common.clarity:.0f} times the spread)"
        )
        do = f"move {b.domain} back by that, or cut both so that they lie on each other"
        yield Finding("shift", "warning", says, do)
    apart = []
    for index, shift in outliers(surfaces, common).items():
        look = b.looks[index]
        against = shift._replace(right=shift.right - common.right, down=shift.down - common.down)
        apart.append(FileGroup(paths_of((a.sources[index], b.sources[index])), _way(against, look.width, look.height)))
    if apart:
        says = f"{counted(len(apart), 'pair', 'is')} not like the rest: {b.domain} is shifted far against {a.domain}"
        yield Finding("stray", "warning", says, "look at them; mend or remove them", tuple(apart))


def _unless_all(files: Sequence[FileGroup], looks: Sequence[ImageInfo]) -> tuple[FileGroup, ...]:
    return tuple(files) if len(files) < len(looks) else ()


def _size_of(look: ImageInfo) -> str:
    return f"{look.width} x {look.height}"


def _way(shift: Shift, width: float, height: float) -> str:
    right, down = shift.right * width, shift.down * height
    parts = [(right, "right", "left"), (down, "down", "up")]
    said = [f"{abs(by):.1f} pixels {plus if by > 0 else minus}" for by, plus, minus in parts if abs(by) >= 0.5]
    return " and ".join(said)
