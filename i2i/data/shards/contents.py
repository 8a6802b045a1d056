"""The samples of one shard: images whose names in it are the same up to the first dot."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.data.direction import counted
from i2i.data.shards.images import Shard
from i2i.data.shards.index import Index
from i2i.errors import UsageError


class Columns(NamedTuple):
    """Where images are in a shard: offset and size in bytes, CRC-32 of the header, and a digest of all names."""

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    headers: NDArray[np.int64]
    names: bytes


class Contents(NamedTuple):
    """The images of a shard, by what their names say between the first and the last dot: `a` for `000017.a.png`."""

    shard: Shard
    kinds: dict[str, Columns]


def contents_of(shard: Shard, *, data: str) -> Contents:
    """The images of a shard; in pairs, those of both kinds are in the same order.

    Raises:
        UsageError: it can't be read, has two images for one sample, or an image without a partner.
        ImageError: it can't be fetched.
    """
    index = shard.index()
    if data == "single":
        return Contents(shard, {"": _columns(index, np.arange(len(index.names)))} if index.names else {})
    samples: dict[str, dict[str, int]] = defaultdict(dict)
    for row, name in enumerate(index.names):
        folder, _, file = name.rpartition("/")
        key, _, rest = file.partition(".")
        if samples[rest.rpartition(".")[0].lower()].setdefault(f"{folder}/{key}", row) != row:
            raise UsageError(f"{shard.url}: there are two images for the sample {key}; the second is {name}")
    if data == "paired" and len(samples) == 2:
        first, second = sorted(samples)
        _check_partners(shard, samples, (first, second))
        samples[second] = {key: samples[second][key] for key in samples[first]}
    return Contents(shard, {kind: _columns(index, np.array([*rows.values()])) for kind, rows in samples.items()})


def _check_partners(shard: Shard, samples: dict[str, dict[str, int]], kinds: tuple[str, str]) -> None:
    a, b = (samples[kind] for kind in kinds)
    alone = sorted(a.keys() ^ b.keys())
    if alone:
        has, lacks = kinds if alone[0] in a else kinds[::-1]
        raise UsageError(
            f"{shard.url}: {counted(len(alone), 'sample')} without a partner, such as {alone[0].lstrip('/')}, which "
            f"has {has!r} and no {lacks!r}; write these shards again, or train without pairs (cyclegan, cut)"
        )


def _columns(index: Index, rows: NDArray[np.int64]) -> Columns:
    names = hashlib.sha256("\0".join(index.names[row] for row in rows).encode(errors="surrogatepass"))
    return Columns(index.offsets[rows], index.sizes[rows], index.headers[rows], names.digest())
