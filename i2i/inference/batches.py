"""Group images of one size into batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(
    items: Iterable[T],
    batch_size: int,
    *,
    size: Callable[[T], Hashable],
    nbytes: Callable[[T], int] | None = None,
    max_bytes: int = 0,
) -> Iterator[list[T]]:
    """Group items of equal size, at most `batch_size` in a batch.

    Args:
        items: read one by one.
        batch_size: 1 or more; a full batch is yielded at once.
        size: what is equal within a batch.
        nbytes: memory of an item. If given, the order changes: an item waits for others of its size while items of
            other sizes pass. Otherwise only neighbours are grouped, and the order is kept.
        max_bytes: of all items that wait, at most; beyond that the batch that takes most memory isn't waited for.
    """
    waiting: dict[Hashable, list[T]] = defaultdict(list)
    waiting_bytes = 0

    def take(key: Hashable) -> list[T]:
        nonlocal waiting_bytes
        batch = waiting.pop(key)
        waiting_bytes -= sum(map(nbytes, batch)) if nbytes else 0
        return batch

    for item in items:
        key = size(item)
        if nbytes is None and waiting and key not in waiting:
            yield take(next(iter(waiting)))
        waiting[key].append(item)
        waiting_bytes += nbytes(item) if nbytes else 0
        if len(waiting[key]) == batch_size:
            yield take(key)
        elif nbytes and waiting_bytes > max_bytes:
            yield take(max(waiting, key=lambda key: sum(map(nbytes, waiting[key]))))
    yield from waiting.values()
