"""Findings on images, and pairs, that are there more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.findings import DomainImages, FileGroup, Finding, Severity, counted, paths_of
from i2i.data.check.similarity import Groups, same

_LEAK = "take them out of one side: scores on what was learned from are too good"

_WORDS: dict[str, tuple[Severity, str, str]] = {
    "leak": ("warning", "both to learn from and held out, the same in every pixel", _LEAK),
    "near_leak": ("warning", "both to learn from and held out, nearly the same", _LEAK),
    "copies": ("warning", "there more than once, the same in every pixel", "keep one of each; the others weigh double"),
    "near_copies": ("note", "there more than once, nearly the same", "look at them, and keep one of each"),
}


def of_copies(columns: Sequence[DomainImages], *, paired: bool) -> Iterable[Finding]:
    """Images, or pairs, that are there more than once; above all those that are held out and learned from too."""
    if not paired:
        for column in columns:
            yield from _repeats([column], _groups(column), "image", f" of {column.domain}")
        yield from _in_both(columns)
        return
    a, b = columns
    of_a, of_b = _groups(a), _groups(b)
    pairs = Groups(_joined(of_a.exact, of_b.exact), _joined(of_a.near, of_b.near))
    yield from _repeats(columns, pairs, "pair", "")
    do = f"nothing, if one {a.domain} may have many {b.domain} (bicyclegan learns them; pix2pix their mean)"
    yield from _one_sided("repeated_inputs", a, b, of_a, pairs, do)
    yield from _one_sided("repeated_targets", b, a, of_b, pairs, f"nothing, if many {a.domain} may give one {b.domain}")


def _groups(column: DomainImages) -> Groups:
    return same([look.digest for look in column.looks], np.array([look.thumbnail for look in column.looks]))


def _repeats(columns: Sequence[DomainImages], groups: Groups, what: str, whose: str) -> Iterable[Finding]:
    """Copies of the images of a column, or of the pairs of two, within a split and across."""
    found: dict[str, list[FileGroup]] = defaultdict(list)
    held_out = columns[0].held_out
    for members in _members(groups.near):
        kind = "leak" if len(set(held_out[members])) > 1 else "copies"
        kind = kind if len(set(groups.exact[members])) == 1 else f"near_{kind}"
        found[kind].append(FileGroup(paths_of(column.sources[index] for index in members for column in columns)))
    for kind, (severity, words, do) in _WORDS.items():
        if kind in found:
            says = f"{counted(len(found[kind]), what)}{whose} {'is' if len(found[kind]) == 1 else 'are'} {words}"
            yield Finding(kind, severity, says, do, tuple(found[kind]))


def _one_sided(
    kind: str, one: DomainImages, other: DomainImages, groups: Groups, pairs: Groups, do: str
) -> Iterable[Finding]:
    """Images of one domain with several partners; pairs that are there more than once count once."""
    once = np.flatnonzero(pairs.near == np.arange(len(pairs.near)))
    repeated = [once[members] for members in _members(groups.near[once])]
    if repeated:
        across = sum(len(set(one.held_out[members])) > 1 for members in repeated)
        images = f"{counted(len(repeated), 'image')} of {one.domain}"
        says = f"{images} {'is' if len(repeated) == 1 else 'are'} in several pairs, each with another {other.domain}"
        says += f"; {across} of them both to learn from and held out" if across else ""
        yield Finding(kind, "note", says, do, tuple(FileGroup(paths_of(one.sources[i] for i in m)) for m in repeated))


def _in_both(columns: Sequence[DomainImages]) -> Iterable[Finding]:
    if len(columns) < 2:
        return
    a, b = columns
    seen = {look.digest: source.path for look, source in zip(a.looks, a.sources, strict=True) if not look.flat}
    both = [(seen[x.digest], s.path) for x, s in zip(b.looks, b.sources, strict=True) if x.digest in seen]
    if both:
        says = f"{counted(len(both), 'image', 'is')} both in {a.domain} and in {b.domain}, the same in every pixel"
        yield Finding("in_both", "warning", says, "keep each in the set it belongs to", tuple(map(FileGroup, both)))


def _members(groups: NDArray[Any]) -> list[NDArray[Any]]:
    """The places of each group of two and more."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _joined(one: NDArray[Any], two: NDArray[Any]) -> NDArray[Any]:
    """Groups of what is the same in both, named by the first place."""
    if not len(one):
        return one
    _, first, group = np.unique(np.stack([one, two], axis=1), axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[group.reshape(-1)])
