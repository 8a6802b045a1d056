"""Which images are the input and which the target: guessed from names, and described in words."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_ROLES = {
    "input": re.compile(
        "(before|blurred|blurry|contour|drawing|edge|gray|grey|input|label|line|lineart|low|lr|map|mask|noisy|outline|"
        "render|rendering|scribble|segmentation|semantic|sketch|source|synthetic)(s|es)?"
    ),
    "target": re.compile(
        "(aerial|after|clean|color|colour|high|hr|output|photo|photograph|real|sat|satellite|sharp|target)(s|es)?"
    ),
}


def same_direction(one: tuple[str, str], two: tuple[str, str]) -> bool | None:
    """Whether two pairs of names (input, target) go the same way: (map, sat) and (maps, photos) do.

    Returns:
        None if the names don't tell.
    """
    if one in (two, two[::-1]):
        return one == two
    roles = [tuple(map(_role, names)) for names in (one, two)]
    if not all(set(pair) == {"input", "target"} for pair in roles):
        return None
    return roles[0] == roles[1]


def inputs_first(folders: Sequence[Path]) -> list[Path]:
    """Two folders in order of name, but sketches, edges, labels, maps and the like before photos and the like."""
    ordered = sorted(folders)
    first, second = (_role(folder.name) for folder in ordered)
    return ordered[::-1] if (first, second) == ("target", "input") else ordered


def common_folder(paths: Sequence[Path]) -> str:
    """The common folder of files; relative to the working directory where it is inside."""
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def common_pattern(paths: Sequence[Path]) -> str:
    """`folder/*.png`, or `folder/*` where files have different suffixes."""
    suffixes = {path.suffix for path in paths}
    return str(Path(common_folder(paths)) / f"*{suffixes.pop() if len(suffixes) == 1 else ''}")


def counted(number: int, thing: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _role(name: str) -> str | None:
    """`input` or `target` if one of a name's words says so."""
    words = re.findall(r"[a-z]+", name.lower())
    found = [role for role, known in _ROLES.items() if any(map(known.fullmatch, words))]
    return found[0] if len(found) == 1 else None
