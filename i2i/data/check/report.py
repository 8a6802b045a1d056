"""Check a data set: detect its layout, read every file, and collect the findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.data.check.duplicates import check_duplicates
from i2i.data.check.findings import DomainImages, Finding
from i2i.data.check.layout import Data, check_files, check_left_out, check_names, check_splits, detect
from i2i.data.check.pixels import check_pixels
from i2i.data.check.scan import ImageInfo, Scanned, scan
from i2i.data.check.shifts import check_shifts
from i2i.data.check.sizes import check_pair_sizes, check_sizes
from i2i.data.layout import Layout, Source, Split
from i2i.data.shards import is_shards
from i2i.errors import UsageError
from i2i.images.limits import MAX_MEGAPIXELS

# Named here, because importing the methods imports torch: suggestions, the usual method first.
METHODS: dict[Data, tuple[str, ...]] = {
    "paired": ("pix2pix", "bicyclegan", "pix2pixhd"),
    "unpaired": ("cyclegan", "cut", "fastcut", "simgan"),
    "single": ("gan", "ian"),
}


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        paths: the data folders.
        layout: what they hold; files that can't be used are in no split.
        data: whether those are pairs, two unpaired sets, or a single set.
        methods: methods that learn from such data, the usual one first.
        domains: the readable images of a and b, or of b only.
        left_out: how many files are in no split because of their kind, by kind.
        findings: errors first, then warnings, then notes.
    """

    paths: tuple[Path, ...]
    layout: Layout
    data: Data
    methods: tuple[str, ...]
    domains: tuple[DomainImages, ...]
    left_out: dict[str, int]
    findings: tuple[Finding, ...]

    def splits(self) -> dict[str, list[dict[str, Any]]]:
        """For `train`, and `held_out` where there is such a split, what `to_dict` says about each domain."""
        names = {"train": False} | ({"held_out": True} if self.layout.validation else {})
        return {name: [_summary(domain, held_out) for domain in self.domains] for name, held_out in names.items()}

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values.

        Returns:
            `layout` in words, `data` (paired, unpaired or single), `domains`, `classes`, `methods`; `splits`:
            {"train": [...], "held_out": [...] or null}, for each domain its name (`domain`), the `count` of readable
            images, and where there are any the `smallest`, `median` and `largest` [width, height]; `left_out`:
            {kind of file: count}; and `findings`: `kind`, `severity` (error, warning or note), `message`, `advice`,
            and `files`: [{"paths": files that belong together, "detail": what is special about them}].
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
    """Read all images of a data folder, or of two, and find out what is wrong with them.

    Args:
        paths: the folders, laid out as for training.
        image_size: height and width of a training image, in pixels.
        channels: of a and b, as for training.
        max_megapixels: larger images can't be read.

    Raises:
        UsageError: a folder is missing or empty, or lacks a part of its layout.
    """
    if any(map(is_shards, paths)):
        raise UsageError(
            f"{paths[0]}: i2i check doesn't read shards; unpack a few of them (tar -xf), and check that folder"
        )
    folders = tuple(map(Path, paths))
    layout, data = detect(folders)
    splits = [(split, held_out) for split, held_out in ((layout.train, False), (layout.validation, True)) if split]
    items = [(item, held_out) for split, held_out in splits for item in _items(split, paired=data == "paired")]
    used = {source.path for item, _ in items for source in item}
    problems = [problem for split, _ in splits for problem in split.problems]
    unpaired = sorted({path for problem in problems for path in problem.files} - used)  # read to see if they can be
    scanned, failed = scan(
        [item for item, _ in items] + [(Source(path),) for path in unpaired], max_megapixels=max_megapixels
    )
    readable = [(item, held_out, found) for (item, held_out), found in zip(items, scanned, strict=False) if found]
    domains = tuple(_domains(layout, readable))
    infos = {path: found.images[0] for path, found in zip(unpaired, scanned[len(items) :], strict=True) if found}

    left_out, findings = check_left_out(folders, used.union(unpaired))
    findings += [*check_splits(layout), *check_files(problems, infos, failed)]
    findings += [*check_sizes(domains, image_size=image_size), *check_pixels(domains, channels)]
    if data == "paired" and readable:
        a, b = domains
        correlations = np.array([found.correlation for _, _, found in readable])
        findings += [*check_pair_sizes(a, b), *check_shifts(a, b, correlations)]
    if data == "unpaired":
        findings += check_names(layout)
    findings += check_duplicates(domains, paired=data == "paired")
    findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.severity))
    methods = METHODS[data] + (METHODS["unpaired"] if data == "paired" else ())  # which take pairs too
    return Report(folders, layout, data, methods, domains, left_out, tuple(findings))


def _items(split: Split, *, paired: bool) -> Iterable[tuple[Source, ...]]:
    return zip(split.a, split.b, strict=True) if paired else ((source,) for source in (*split.a, *split.b))


def _domains(layout: Layout, readable: Sequence[tuple[tuple[Source, ...], bool, Scanned]]) -> Iterator[DomainImages]:
    sources_a = {source for split in (layout.train, layout.validation) if split for source in split.a}
    for domain, is_a in zip(layout.domains, (True, False), strict=True):
        entries: list[tuple[Source, ImageInfo, bool]] = [
            (source, image, held_out)
            for item, held_out, found in readable
            for source, image in zip(item, found.images, strict=True)
            if (source in sources_a) == is_a
        ]
        if entries or layout.train.a or (layout.validation and layout.validation.a):
            sources, images, held_out = zip(*entries, strict=True) if entries else ((), (), ())
            yield DomainImages(domain, sources, images, np.array(held_out, bool))


def _summary(domain: DomainImages, held_out: bool) -> dict[str, Any]:
    images = zip(domain.images, domain.held_out, strict=True)
    sizes = [(image.width, image.height) for image, is_held_out in images if is_held_out == held_out]
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    indices = {"smallest": 0, "median": len(sizes) // 2, "largest": -1} if sizes else {}
    return {"domain": domain.domain, "count": len(sizes)} | {name: list(sizes[at]) for name, at in indices.items()}
