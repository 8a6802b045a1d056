"""Combinations of test parameters in which every pair of values occurs, far fewer than their product."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any


def pairwise(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Choose combinations, greedily, until every two values of different axes have met."""

    def pairs(chosen: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
        return set(itertools.combinations(enumerate(chosen), 2))

    candidates = list(itertools.product(*(range(len(axis)) for axis in axes)))
    missing = set().union(*map(pairs, candidates))
    result = []
    while missing:
        best = max(candidates, key=lambda chosen: len(pairs(chosen) & missing))
        missing -= pairs(best)
        result.append(tuple(axis[index] for axis, index in zip(axes, best, strict=True)))
    return result
