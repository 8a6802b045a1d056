"""What data folders hold: pairs, two sets or one, and files that are in no split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from i2i.data.check.findings import FileGroup, Finding, counted
from i2i.data.folders import Layout, UnknownLayoutError, survey
from i2i.errors import ImageError, UsageError
from i2i.images.formats import suffixes_in_words
from i2i.images.reading import images_in, read
from i2i.images.unreadable import unreadable_format

Data: TypeAlias = Literal["paired", "unpaired", "single"]


def find_kind(folders: Sequence[Path]) -> tuple[Layout, Data]:
    """The layout, and what it holds: pairs where files lie side by side or most names match, else two sets, or one.

    Raises:
        UsageError: a folder is missing or empty, or lacks a part of its layout.
    """
    try:
        layout = survey(folders, data="paired")
    except UnknownLayoutError:
        return _one_set(folders[0]), "single"
    split = layout.train if layout.train.b or layout.train.problems else layout.validation or layout.train
    pairs, problems = split.a, split.problems
    kinds = Counter(problem.kind for problem in problems)
    if kinds["not_two"] or kinds["unreadable"] or any(source.half != "whole" for source in pairs):
        halves = len(pairs) > kinds["not_two"] and _side_by_side([source.path for source in pairs])
        return (layout, "paired") if halves else (_one_set(folders[0]), "single")
    alone = [len(problem.files) for problem in problems if problem.kind == "alone"]
    if len(alone) == 2 and len(pairs) < min(alone):
        return survey(folders, data="unpaired"), "unpaired"
    return layout, "paired"


def left_out(folders: Sequence[Path], used: set[Path]) -> tuple[dict[str, int], list[Finding]]:
    """Files that are in no split, counted, and those of them that may be missed."""
    counts: Counter[str] = Counter()
    linked, formats, unused = [], [], Counter[Path]()
    for folder in folders:
        images = set(images_in(folder))
        for path in sorted(folder.rglob("*")):
            parts, suffix = path.relative_to(folder).parts, path.suffix.lower()
            if any(part.startswith(".") for part in parts):
                counts["hidden"] += not path.is_dir()
            elif path.is_symlink() and (path.is_dir() or not path.exists()):
                counts["links"] += 1
                inside = len(images_in(path)) if path.is_dir() else 0
                if inside or not path.exists():
                    says = f"a folder of {counted(inside, 'image')}" if inside else "leads nowhere"
                    linked.append(FileGroup((path,), says))
            elif path in images and path not in used:
                counts["images"] += 1
                unused[folder / parts[0]] += 1
            elif path.is_file() and path not in images:
                counts[suffix or "no suffix"] += 1
                if unreadable_format(suffix):
                    formats.append(FileGroup((path,)))
    findings = []
    if linked:
        says = f"{counted(len(linked), 'link', 'is')} not followed"
        findings.append(Finding("links", "warning", says, "put the images themselves there", tuple(linked)))
    if formats:
        says = f"{counted(len(formats), 'image', 'is')} of a format that is left out; known are {suffixes_in_words()}"
        findings.append(Finding("format", "warning", says, "save them as .png", tuple(formats)))
    if unused:
        files = tuple(
            FileGroup((path,), counted(count, "image") if path.is_dir() else "") for path, count in unused.items()
        )
        says = f"{counted(sum(unused.values()), 'image', 'has')} no place in this layout"
        findings.append(Finding("unused", "note", says, "nothing, if they are to be left out", files))
    return {name: count for name, count in sorted(counts.items()) if count}, findings


def _one_set(folder: Path) -> Layout:
    """All images of a folder, with labels where its folders look like classes; train beside one other doesn't."""
    whole = survey([folder], data="single")
    try:
        labelled = survey([folder], data="single", labels=True)
    except UsageError:  # its folders are no classes
        return whole
    return whole if len(labelled.classes) == 2 and "train" in labelled.classes else labelled


def _side_by_side(paths: list[Path]) -> bool:
    """Whether files that are wider than high hold two images: twice as wide, or with a step in the middle."""
    votes: Counter[bool] = Counter()
    for path in paths[:: max(1, len(paths) // 24)]:
        try:
            pixels = read(path).pixels.astype(np.float32)
        except ImageError:
            continue
        height, width = pixels.shape[:2]
        steps = np.abs(np.diff(pixels, axis=1)).mean(axis=(0, 2))
        middle = width // 2 - 1
        around = float(np.median(steps[max(0, middle - 8) : middle + 9]))
        halved = width == 2 * height or steps[middle] > max(3 * around, 0.01 * pixels.max())
        if halved or around > 0:
            votes[bool(halved)] += 1
    return votes[True] >= votes[False]
