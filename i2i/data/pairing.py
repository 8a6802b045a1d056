"""Pairs of images: files of the same name, or the two halves of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from i2i.data.layout import EXPECTED_LAYOUTS, Problem, Source, Split
from i2i.data.sizes import size_of
from i2i.errors import ImageError


def pair_by_name(a: tuple[Path, Sequence[Path]], b: tuple[Path, Sequence[Path]], *, name: str) -> Split:
    """Pair the files of two folders whose paths in them are equal but for the suffix and an ending `_A` or `_B`.

    Args:
        a: a folder and its images.
        b: the other folder and its images.
        name: of the split.
    """
    (folder_a, paths_a), (folder_b, paths_b) = a, b
    by_name_a, same_a = _by_name(folder_a, paths_a, "_A")
    by_name_b, same_b = _by_name(folder_b, paths_b, "_B")
    alone_a = _without_partner(folder_a, by_name_a, folder_b, by_name_b, len(paths_a))
    alone_b = _without_partner(folder_b, by_name_b, folder_a, by_name_a, len(paths_b))
    shared = sorted(by_name_a.keys() & by_name_b.keys())
    return Split(
        tuple(Source(by_name_a[stem]) for stem in shared),
        tuple(Source(by_name_b[stem]) for stem in shared),
        problems=(*same_a, *same_b, *alone_a, *alone_b),
        name=name,
    )


def pair_halves(paths: Sequence[Path], *, name: str = "") -> Split:
    """Take the left half of each file as a and the right half as b; the width is even and larger than the height."""
    problems: dict[Path, Problem] = {}
    for path in paths:
        try:
            width, height = size_of(path)
        except ImageError as error:
            problems[path] = Problem("unreadable", f"{error}; replace or remove it", (path,))
            continue
        if width <= height or width % 2:
            message = f"{path} is {width} x {height} pixels: not two images side by side; expected {EXPECTED_LAYOUTS}"
            problems[path] = Problem("not_two", message, (path,))
    good = [path for path in paths if path not in problems]
    return Split(
        tuple(Source(path, "left") for path in good),
        tuple(Source(path, "right") for path in good),
        problems=tuple(problems.values()),
        name=name,
    )


def _by_name(folder: Path, paths: Sequence[Path], ending: str) -> tuple[dict[str, Path], list[Problem]]:
    by_name: dict[str, Path] = {}
    problems = []
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        if name in by_name:
            message = (
                f"{folder}: {by_name[name].name} and {path.name} have the same name, and pairs are matched by name "
                "up to the suffix; keep one of them"
            )
            problems.append(Problem("same_name", message, (by_name[name], path)))
        else:
            by_name[name] = path
    return by_name, problems


def _without_partner(
    folder: Path, by_name: dict[str, Path], other: Path, other_by_name: dict[str, Path], count: int
) -> list[Problem]:
    names = sorted(by_name.keys() - other_by_name.keys())
    if not names:
        return []
    first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    message = (
        f"{folder}: {len(names)} of {count} images have no partner of the same name in {other}: {first}; "
        "rename or remove them, or train without pairs (cyclegan, cut)"
    )
    return [Problem("no_partner", message, tuple(by_name[name] for name in names))]
