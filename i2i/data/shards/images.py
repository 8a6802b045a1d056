"""The images of shards: arrays of offsets, from which a `Source` is made when it is asked for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from i2i.data.layout import Images, IndexArray, Source
from i2i.data.shards.cache import ShardCache
from i2i.data.shards.index import HEADER, BadShard, Index, scan_file
from i2i.data.shards.storage import read_small, stat, without_query
from i2i.errors import ImageError, UsageError
from i2i.files import write_whole
from i2i.images.decoded import DecodedImage
from i2i.images.limits import check_file_size
from i2i.images.reading import read
from i2i.storage import is_remote

GROUP = 8  # shards whose samples are shuffled together
_PRIME = 2_654_435_761  # its multiples are spread evenly over any window
INDEX_SUFFIX = ".index.json"  # of the index beside a shard


@dataclass(frozen=True)
class Shard:
    """A tar file.

    Attributes:
        url: its path or URL.
        size: in bytes.
        version: changes when it does.
        cache: where remote ones are copied to.
    """

    url: str
    size: int
    version: str
    cache: ShardCache

    @classmethod
    def at(cls, url: str, cache: ShardCache) -> Shard:
        """The shard at a path or URL.

        Raises:
            UsageError: there is none.
        """
        size, version = stat(url)
        return cls(url, size, f"{version} {size}", cache)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the shard; a remote one is copied to the cache first.

        Raises:
            ImageError: it can't be fetched or read, or ends before.
        """
        try:
            descriptor = self._open()
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise ImageError(f"{self.url}: {error.strerror or error}") from None
        if len(data) < size:
            raise ImageError(f"{self.url}: it ends before byte {offset + size}; it has changed since it was indexed")
        return data

    def index(self) -> Index:
        """The index: that of an earlier run, the one beside the shard, or a new one.

        Raises:
            UsageError: it isn't a tar file.
            ImageError: it can't be fetched.
        """
        kept = self._kept_index()
        index = self._read_index(str(kept))
        if index is None:
            index = (None if self._is_newer_than_index() else self._read_index(beside(self.url))) or self._scanned()
            with contextlib.suppress(OSError):  # a full or read-only disk: it is made again next time
                write_whole(kept, index.to_json(shard_size=self.size))
        return index

    def forget_index(self) -> None:
        """Remove the index that is kept of it, which is of another file."""
        with contextlib.suppress(OSError):
            self._kept_index().unlink()

    def _kept_index(self) -> Path:
        url = self.url if is_remote(self.url) else str(Path(self.url).resolve())
        return self.cache.path(url, self.version, ".json")

    def _is_newer_than_index(self) -> bool:
        """Whether a local shard was written after the index beside it."""
        with contextlib.suppress(OSError):
            return not is_remote(self.url) and Path(self.url).stat().st_mtime > Path(beside(self.url)).stat().st_mtime
        return False

    def _read_index(self, place: str) -> Index | None:
        """The index at a path or URL; None where there is none that fits."""
        data = read_small(place)
        with contextlib.suppress(BadShard):
            return Index.from_json(data, shard_size=self.size) if data is not None else None
        return None

    def _scanned(self) -> Index:
        try:
            with os.fdopen(self._open(), "rb") as file:
                return scan_file(file)
        except BadShard as error:
            raise UsageError(f"{self.url}: {error}") from None
        except OSError as error:
            raise UsageError(f"{self.url}: {error.strerror or error}") from None

    def _open(self) -> int:
        if is_remote(self.url):
            return self.cache.open(self.url, size=self.size, version=self.version)
        return os.open(self.url, os.O_RDONLY | getattr(os, "O_BINARY", 0))


@dataclass(frozen=True)
class Member:
    """An image in a shard."""

    shard: Shard
    offset: int
    size: int
    header: int  # CRC-32

    def __str__(self) -> str:
        """The shard, and the name in it, which is looked up in the index."""
        try:
            index = self.shard.index()
            name = index.names[int(np.flatnonzero(index.offsets == self.offset)[0])]
        except (UsageError, ImageError, IndexError):
            name = f"byte {self.offset}"
        return f"{self.shard.url}: {name}"

    def read(self, *, max_megapixels: float) -> DecodedImage:
        """Read the image."""
        try:
            check_file_size(self.size, round(max_megapixels * 10**6))
        except ImageError as error:
            raise ImageError(f"{self}: {error.args[0]}") from None
        content = self.shard.read(self.offset - HEADER, HEADER + self.size)
        if zlib.crc32(content[:HEADER]) != self.header:
            self.shard.forget_index()
            raise ImageError(
                f"{self.shard.url}: it has changed since it was indexed; remove the index beside it, "
                f"{beside(self.shard.url)}, and start again"
            )
        data = content[HEADER:]
        try:
            return read(data, max_megapixels=max_megapixels, name="")
        except ImageError as error:
            raise ImageError(f"{self}{error.args[0]}") from None


def beside(url: str) -> str:
    """Where the index of a shard is: `train-000000.tar.index.json`; the query of a URL stays at its end."""
    plain = without_query(url)
    return plain + INDEX_SUFFIX + url[len(plain) :]


class ShardImages(Images):
    """The images of one domain in shards.

    Args:
        shards: the shards, in order.
        counts: images in each, (S,).
        offsets: of the images in their shards, (N,) int64.
        sizes: in bytes, (N,).
        headers: CRC-32 of their headers in the tar file, (N,).
        where: in words.
        names: a checksum of the images' names.
        half: of each image.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        counts: Sequence[int],
        offsets: NDArray[np.int64],
        sizes: NDArray[Any],
        headers: NDArray[Any],
        *,
        where: str,
        names: str,
        half: Literal["whole", "left", "right"] = "whole",
    ) -> None:
        self.shards, self._offsets, self._sizes, self._half = tuple(shards), offsets, sizes, half
        self._headers = headers.astype(np.uint32)
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._where, self._names = where, names

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]  # which knows negative ones, and refuses those out of range
        place = (int(column[index]) for column in (self._offsets, self._sizes, self._headers))
        member = Member(self.shards[self._shard_of(index)], *place)
        return Source(member, self._half)

    @property
    def where(self) -> str:
        return self._where

    @property
    def checksums(self) -> tuple[str, str]:
        return self._names, hashlib.sha256(np.ascontiguousarray(self._sizes, np.int64).tobytes()).hexdigest()

    def order(self, rng: np.random.Generator) -> IndexArray:
        """Shuffle the shards, then the samples of each group of `GROUP` shards; of one group alone, all samples."""
        if len(self.shards) <= GROUP:
            return rng.permutation(len(self))
        shards = rng.permutation(len(self.shards))
        parts = []
        for start in range(0, len(shards), GROUP):
            spans = [np.arange(*self._starts[shard : shard + 2]) for shard in shards[start : start + GROUP]]
            parts.append(rng.permutation(np.concatenate(spans)))
        return np.concatenate(parts)

    def prefetch(self, order: IndexArray, offset: int) -> None:
        """Fetch what is read within the next half group: the shard of one sample in it, each time another one.

        Later ones can wait: by then the shards of the group before are those used least recently, which the cache
        removes.
        """
        window = max(1, len(self) * GROUP // len(self.shards) // 2)
        ahead = offset + 1 + offset * _PRIME % window
        if ahead < len(order):
            shard = self.shards[self._shard_of(int(order[ahead]))]
            if is_remote(shard.url):
                shard.cache.prefetch(shard.url, size=shard.size, version=shard.version)

    def _shard_of(self, index: int) -> int:
        return int(np.searchsorted(self._starts, index, side="right")) - 1
