"""Findings about images and pairs that occur more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.data.check.findings import DomainImages, FileGroup, Finding, Severity, counted, paths_of
from i2i.data.check.similarity import Groups, group_copies

_LEAK = "remove them from one of the two: scores on images that were trained on are too good"

_WORDS: dict[str, tuple[Severity, str, str]] = {
    "leak": ("warning", "both to train on and held out, identical in every pixel", _LEAK),
    "near_leak": ("warning", "both to train on and held out, nearly identical", _LEAK),
    "copies": ("warning", "there more than once, identical in every pixel", "keep one of each; copies count double"),
    "near_copies": ("note", "there more than once, nearly identical", "look at them, and keep one of each"),
}


def check_duplicates(domains: Sequence[DomainImages], *, paired: bool) -> Iterable[Finding]:
    """Find images, or pairs, that occur more than once, above all those that are held out and trained on too."""
    if not paired:
        for domain in domains:
            yield from _copies([domain], _groups(domain), "image", f" of {domain.domain}")
        yield from _check_both_domains(domains)
        return
    a, b = domains
    groups_a, groups_b = _groups(a), _groups(b)
    pairs = Groups(_intersect(groups_a.exact, groups_b.exact), _intersect(groups_a.near, groups_b.near))
    yield from _copies(domains, pairs, "pair", "")
    advice = f"nothing, if one {a.domain} has many {b.domain} (bicyclegan learns them all; pix2pix learns their mean)"
    yield from _repeated("repeated_inputs", a, b.domain, groups_a, pairs, advice)
    advice = f"nothing, if many {a.domain} have the same {b.domain}"
    yield from _repeated("repeated_targets", b, a.domain, groups_b, pairs, advice)


def _groups(domain: DomainImages) -> Groups:
    digests = [image.digest for image in domain.images]
    return group_copies(digests, np.array([image.thumbnail for image in domain.images]))


def _copies(domains: Sequence[DomainImages], groups: Groups, thing: str, of: str) -> Iterable[Finding]:
    """Copies of a domain's images, or of pairs, within a split and across splits."""
    found: dict[str, list[FileGroup]] = defaultdict(list)
    held_out = domains[0].held_out
    for members in _members(groups.near):
        kind = "leak" if len(set(held_out[members])) > 1 else "copies"
        kind = kind if len(set(groups.exact[members])) == 1 else f"near_{kind}"
        found[kind].append(FileGroup(paths_of(domain.sources[index] for index in members for domain in domains)))
    for kind, (severity, words, advice) in _WORDS.items():
        if kind in found:
            message = f"{counted(len(found[kind]), thing)}{of} {'is' if len(found[kind]) == 1 else 'are'} {words}"
            yield Finding(kind, severity, message, advice, tuple(found[kind]))


def _repeated(
    kind: str, domain: DomainImages, partners: str, groups: Groups, pairs: Groups, advice: str
) -> Iterable[Finding]:
    """Images of a domain with several different partners; copies of a pair count once."""
    unique = np.flatnonzero(pairs.near == np.arange(len(pairs.near)))
    repeated = [unique[members] for members in _members(groups.near[unique])]
    if repeated:
        across = sum(len(set(domain.held_out[members])) > 1 for members in repeated)
        images = f"{counted(len(repeated), 'image')} of {domain.domain}"
        verb = "is" if len(repeated) == 1 else "are"
        message = f"{images} {verb} in several pairs, each time with a different {partners}"
        message += f"; {across} of them both to train on and held out" if across else ""
        files = tuple(FileGroup(paths_of(domain.sources[index] for index in members)) for members in repeated)
        yield Finding(kind, "note", message, advice, files)


def _check_both_domains(domains: Sequence[DomainImages]) -> Iterable[Finding]:
    if len(domains) < 2:
        return
    a, b = domains
    paths = {image.digest: source.path for image, source in zip(a.images, a.sources, strict=True) if not image.flat}
    files = tuple(
        FileGroup((paths[image.digest], source.path))
        for image, source in zip(b.images, b.sources, strict=True)
        if image.digest in paths
    )
    if files:
        message = f"{counted(len(files), 'image', 'is')} in both {a.domain} and {b.domain}, identical in every pixel"
        yield Finding("in_both", "warning", message, "keep each in the set where it belongs", files)


def _members(groups: NDArray[Any]) -> list[NDArray[Any]]:
    """The indices of each group of two or more."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _intersect(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Groups of what is together in both groupings, named by their first index."""
    if not len(a):
        return a
    _, first, group = np.unique(np.stack([a, b], axis=1), axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[group.reshape(-1)])
