"""What data folders hold: pairs, two sets or one; and findings about files that can't be used or are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from i2i.data.check.findings import FileGroup, Finding, counted
from i2i.data.check.scan import ImageInfo
from i2i.data.folders import UnknownLayoutError, survey
from i2i.data.layout import Layout, Problem
from i2i.errors import ImageError, UsageError
from i2i.images.formats import suffixes_in_words
from i2i.images.reading import images_in, read
from i2i.images.unreadable import unreadable_format

Data: TypeAlias = Literal["paired", "unpaired", "single"]


def detect(folders: Sequence[Path]) -> tuple[Layout, Data]:
    """Detect a layout without knowing the method.

    Returns:
        The layout, and its kind: pairs where files lie side by side or most names match, else two sets, or one.

    Raises:
        UsageError: a folder is missing or empty, or lacks a part of its layout.
    """
    try:
        layout = survey(folders, data="paired")
    except UnknownLayoutError:
        return _single_set(folders[0]), "single"
    split = layout.train if layout.train.b or layout.train.problems else layout.validation or layout.train
    pairs, problems = split.a, split.problems
    kinds = Counter(problem.kind for problem in problems)
    if kinds["not_two"] or kinds["unreadable"] or any(source.half != "whole" for source in pairs):
        halves = len(pairs) > kinds["not_two"] and _are_side_by_side([source.path for source in pairs])
        return (layout, "paired") if halves else (_single_set(folders[0]), "single")
    alone = [len(problem.files) for problem in problems if problem.kind == "no_partner"]
    if len(alone) == 2 and len(pairs) < min(alone):
        return survey(folders, data="unpaired"), "unpaired"
    return layout, "paired"


def check_names(layout: Layout) -> Iterable[Finding]:
    """Find two sets of equal size that may be pairs whose files are named differently."""
    splits = [split for split in (layout.train, layout.validation) if split and split.b]
    if all(split.a and len(split.a) == len(split.b) for split in splits):
        a, b = layout.domains
        message = f"{a} and {b} have equally many images, but most names differ: treated as unpaired"
        yield Finding("names", "note", message, "nothing if they are unpaired; else give partners the same name")


def check_splits(layout: Layout) -> Iterable[Finding]:
    """Find folders with held-out images only."""
    if layout.validation and not layout.train.b:
        message = f"all images are held out ({layout.validation.name}): i2i evaluate uses them, i2i train does not"
        yield Finding("held_out_only", "note", message, "nothing, or put images to train on into a folder train")


def check_files(
    problems: Sequence[Problem], images: dict[Path, ImageInfo], failed: dict[Path, str]
) -> Iterable[Finding]:
    """Find files that can't be part of a pair, or can't be read.

    Args:
        problems: what `survey` found.
        images: what was noted about the files that can be read.
        failed: files that can't be read, with the reasons.
    """
    by_kind = {kind: [p for p in problems if p.kind == kind] for kind in ("no_partner", "same_name", "not_two")}
    alone = [path for problem in by_kind["no_partner"] for path in problem.files]
    if alone:
        message = f"{counted(len(alone), 'image', 'has')} no partner of the same name"
        advice = "rename or remove them, or train without pairs (cyclegan, cut)"
        yield Finding("no_partner", "error", message, advice, tuple(FileGroup((path,)) for path in alone))
    if by_kind["same_name"]:
        files = tuple(FileGroup(problem.files) for problem in by_kind["same_name"])
        message = f"{counted(len(files), 'name')} used twice in a folder; pairs are matched by name up to the suffix"
        yield Finding("same_name", "error", message, "keep one file of each name", files)
    not_two = [path for problem in by_kind["not_two"] for path in problem.files if path in images]
    if not_two:
        message = (
            f"{counted(len(not_two), 'file', 'is')} not two images side by side: expected an even width that is larger "
            "than the height"
        )
        files = tuple(FileGroup((path,), images[path].size) for path in not_two)
        yield Finding("not_two", "error", message, "correct or remove them", files)
    if failed:
        files = tuple(FileGroup((path,), reason) for path, reason in sorted(failed.items()))
        yield Finding(
            "unreadable", "error", f"{counted(len(files), 'file')} can't be read", "replace or remove them", files
        )


def check_left_out(folders: Sequence[Path], used: set[Path]) -> tuple[dict[str, int], list[Finding]]:
    """Count the files that are in no split, by kind, and find those that may have been meant to be in one."""
    counts: Counter[str] = Counter()
    links, unknown_formats, unused = [], [], Counter[Path]()
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
                    detail = f"a folder of {counted(inside, 'image')}" if inside else "its target doesn't exist"
                    links.append(FileGroup((path,), detail))
            elif path in images and path not in used:
                counts["images"] += 1
                unused[folder / parts[0]] += 1
            elif path.is_file() and path not in images:
                counts[suffix or "no suffix"] += 1
                if unreadable_format(suffix):
                    unknown_formats.append(FileGroup((path,)))
    findings = []
    if links:
        message = f"{counted(len(links), 'link', 'is')} not followed"
        findings.append(Finding("links", "warning", message, "copy the images themselves there", tuple(links)))
    if unknown_formats:
        message = (
            f"{counted(len(unknown_formats), 'image', 'is')} left out because of the format; readable are "
            f"{suffixes_in_words()}"
        )
        findings.append(Finding("format", "warning", message, "convert them to .png", tuple(unknown_formats)))
    if unused:
        files = tuple(
            FileGroup((path,), counted(count, "image") if path.is_dir() else "") for path, count in unused.items()
        )
        message = f"{counted(sum(unused.values()), 'image', 'is')} in no split of this layout"
        findings.append(Finding("unused", "note", message, "nothing, if they should be left out", files))
    return {kind: count for kind, count in sorted(counts.items()) if count}, findings


def _single_set(folder: Path) -> Layout:
    """All images of a folder, with labels where its folders look like classes; train beside one other doesn't."""
    unlabelled = survey([folder], data="single")
    try:
        labelled = survey([folder], data="single", labels=True)
    except UsageError:  # its folders aren't classes
        return unlabelled
    return unlabelled if len(labelled.classes) == 2 and "train" in labelled.classes else labelled


def _are_side_by_side(paths: list[Path]) -> bool:
    """Whether wide files hold two images each: they are twice as wide as high, or have a step in the middle."""
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
        halves = width == 2 * height or steps[middle] > max(3 * around, 0.01 * pixels.max())
        if halves or around > 0:
            votes[bool(halves)] += 1
    return votes[True] >= votes[False]
