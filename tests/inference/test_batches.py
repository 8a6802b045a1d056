"""Batches of one size, in order or not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2i.inference.batches import batches


def of(text: str, batch_size: int, **options: int) -> list[str]:
    """Batches of letters, upper case and lower case of the same size; a letter takes 1 byte, in order without limit."""
    nbytes = {"nbytes": lambda _: 1, **options} if options else {}
    found = batches(text, batch_size, size=str.lower, **nbytes)  # type: ignore[arg-type]
    return ["".join(batch) for batch in found]


@pytest.mark.parametrize(
    ("text", "batch_size", "expected"),
    [
        ("", 2, []),
        ("aAa", 2, ["aA", "a"]),
        ("aabba", 8, ["aa", "bb", "a"]),
        ("abab", 2, ["a", "b", "a", "b"]),
        ("aaab", 1, ["a", "a", "a", "b"]),
    ],
)
def test_without_nbytes_only_neighbours_are_grouped(text: str, batch_size: int, expected: list[str]) -> None:
    assert of(text, batch_size) == expected


@pytest.mark.parametrize(
    ("text", "batch_size", "max_bytes", "expected"),
    [
        ("abAB", 2, 9, ["aA", "bB"]),
        ("abacab", 3, 9, ["aaa", "bb", "c"]),
        ("abbcd", 8, 3, ["bb", "a", "c", "d"]),  # four wait, and most of them are b
        ("abc", 8, 0, ["a", "b", "c"]),
        ("aabbcc", 2, 3, ["aa", "bb", "cc"]),  # a batch that is taken waits no more
    ],
)
def test_with_nbytes_items_are_grouped_wherever_they_are(
    text: str, batch_size: int, max_bytes: int, expected: list[str]
) -> None:
    assert of(text, batch_size, max_bytes=max_bytes) == expected


@given(st.text("aAbBc", max_size=30), st.integers(1, 5), st.integers(0, 9))
def test_nothing_is_lost_and_nothing_is_too_large(text: str, batch_size: int, max_bytes: int) -> None:
    assert "".join(of(text, batch_size)) == text
    found = of(text, batch_size, max_bytes=max_bytes)
    assert sorted("".join(found)) == sorted(text)
    for batch in (*found, *of(text, batch_size)):
        assert len(batch) <= batch_size
        assert len(set(batch.lower())) == 1


def test_a_full_batch_is_not_waited_for_and_few_items_are_read_ahead() -> None:
    read = []

    def letters() -> Iterator[str]:
        for letter in "aabb":
            read.append(letter)
            yield letter

    found = batches(letters(), 2, size=str.lower)
    assert next(found) == ["a", "a"]
    assert read == ["a", "a"]
