"""The check of a data set: its layout, every file read, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.data.check.duplicates import of_copies
from i2i.data.check.findings import (
    DomainImages,
    Finding,
    of_layout,
    of_names,
    of_pair_sizes,
    of_registration,
    of_sizes,
    of_splits,
)
from i2i.data.check.layout import Data, find_kind, left_out
from i2i.data.check.pixels import of_levels
from i2i.data.check.scan import PairInfo, scan
from i2i.data.folders import Layout, Source, Split
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.methods import methods

_USUAL = {"paired": "pix2pix", "unpaired": "cyclegan", "single": "gan"}


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        paths: the data folders.
        layout: what they hold; files that can't be used are in no split.
        data: whether those are pairs, two sets or one.
        methods: the methods that learn from such data, the usual one first.
        columns: the images that could be read, of a and b, or of b alone.
        left_out: how many files are in no split because of what they are, by their kind.
        findings: errors first, then warnings, then notes.
    """

    paths: tuple[Path, ...]
    layout: Layout
    data: Data
    methods: tuple[str, ...]
    columns: tuple[DomainImages, ...]
    left_out: dict[str, int]
    findings: tuple[Finding, ...]

    def splits(self) -> dict[str, list[dict[str, Any]]]:
        """For `train`, and `held_out` where there is such a split, a list of what `to_dict` says of each domain."""
        names = {"train": False} | ({"held_out": True} if self.layout.validation else {})
        return {name: [_sizes(column, held_out) for column in self.columns] for name, held_out in names.items()}

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON holds.

        Returns:
            `layout` in words, `data` (paired, unpaired or single), `domains`, `classes`, `methods`; `splits`:
            {"train": [...], "held_out": [...] or null}, of each domain its name (`domain`), the `count` of images
            that can be read, and where there are any the `smallest`, `median` and `largest` [width, height];
            `left_out`: {kind of file: count}; and `findings`: `kind`, `severity` (error, warning or note), `says`,
            `do`, and `files`: [{"paths": those that belong together, "detail": what there is to say of them}].
        """
        return {
            "layout": self.layout.description,
            "data": self.data,
            "domains": list(self.layout.domains),
            "classes": list(self.layout.classes),
            "methods": list(self.methods),
            "splits": {"held_out": None} | self.splits(),
            "left_out": self.left_out,
            "findings": [finding.to_dict() for finding in self.findings],
        }


def check(
    paths: Sequence[str | Path],
    *,
    image_size: int = 256,
    channels: tuple[int, int] = (3, 3),
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Report:
    """Read all images of a data folder, or of two, and tell what is wrong with them.

    Args:
        paths: the folders, laid out as for training.
        image_size: height and width of a training image, in pixels.
        channels: those that a training would be given, of a and b.
        max_megapixels: images of more million pixels can't be read.

    Raises:
        UsageError: a folder is missing or empty, or lacks a part of its layout.
    """
    folders = tuple(map(Path, paths))
    layout, data = find_kind(folders)
    splits = [(split, held) for split, held in ((layout.train, False), (layout.validation, True)) if split]
    items = [(item, held) for split, held in splits for item in _items(split, paired=data == "paired")]
    used = {source.path for item, _ in items for source in item}
    problems = [problem for split, _ in splits for problem in split.problems]
    others = sorted({path for problem in problems for path in problem.files} - used)
    # Those are read too, to say why they can't be where they can't be.
    sights, failed = scan(
        [item for item, _ in items] + [(Source(path),) for path in others], max_megapixels=max_megapixels
    )
    seen = [(item, held, sight) for (item, held), sight in zip(items, sights, strict=False) if sight]
    columns = tuple(_columns(layout, seen))
    counts, aside = left_out(folders, used.union(others))
    looks = {path: sight.looks[0] for path, sight in zip(others, sights[len(items) :], strict=True) if sight}
    findings = [*aside, *of_splits(layout), *of_layout(problems, looks, failed)]
    findings += [*of_sizes(columns, image_size), *of_levels(columns, channels)]
    if data == "paired" and seen:
        a, b = columns
        surfaces = np.array([sight.surface for _, _, sight in seen])
        findings += [*of_pair_sizes(a, b), *of_registration(a, b, surfaces)]
    if data == "unpaired":
        findings += of_names(layout)
    findings += of_copies(columns, paired=data == "paired")
    findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.severity))
    kinds: dict[str, Any] = dict(methods)
    suited = ("paired", "unpaired") if data == "paired" else (data,)  # methods for two sets take pairs too
    suitable = [name for one in suited for name in sorted(kinds, key=_USUAL[one].__ne__) if kinds[name].data == one]
    return Report(folders, layout, data, tuple(suitable), columns, counts, tuple(findings))


def _items(split: Split, *, paired: bool) -> Iterable[tuple[Source, ...]]:
    return zip(split.a, split.b, strict=True) if paired else ((source,) for source in split.a + split.b)


def _columns(layout: Layout, seen: Sequence[tuple[tuple[Source, ...], bool, PairInfo]]) -> Iterator[DomainImages]:
    """The images that could be read, by domain."""
    of_a = {source for split in (layout.train, layout.validation) if split for source in split.a}
    for domain, is_a in zip(layout.domains, (True, False), strict=True):
        own = [
            (source, look, held)
            for item, held, sight in seen
            for source, look in zip(item, sight.looks, strict=True)
            if (source in of_a) == is_a
        ]
        if own or layout.train.a or (layout.validation and layout.validation.a):
            sources, looks, held_out = zip(*own, strict=True) if own else ((), (), ())
            yield DomainImages(domain, sources, looks, np.array(held_out, bool))


def _sizes(column: DomainImages, held_out: bool) -> dict[str, Any]:
    sizes = [(x.width, x.height) for x, held in zip(column.looks, column.held_out, strict=True) if held == held_out]
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    indices = {"smallest": 0, "median": len(sizes) // 2, "largest": -1} if sizes else {}
    return {"domain": column.domain, "count": len(sizes)} | {name: list(sizes[at]) for name, at in indices.items()}
