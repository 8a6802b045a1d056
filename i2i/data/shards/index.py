"""The index of a shard: name, offset and size of each image in a tar file. Nothing is ever extracted."""

from __future__ import annotations

import errno
import json
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.images.formats import readable_suffixes

HEADER = 512  # bytes of a member's header, before its data
_COLUMNS = ("offsets", "sizes", "headers")


class BadShard(ValueError):
    """A file is not a whole, uncompressed tar file, or an index doesn't fit it."""


class Index(NamedTuple):
    """The images of a shard, in its order.

    Attributes:
        names: of the members.
        offsets: of their first bytes, (N,) int64.
        sizes: in bytes, (N,) int64.
        headers: CRC-32 of each member's header, by which a shard that was written again is recognised, (N,) int64.
    """

    names: list[str]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    headers: NDArray[np.int64]

    def to_json(self, *, shard_size: int) -> bytes:
        """The index as a JSON file, with the size of its shard in bytes."""
        columns = {name: getattr(self, name).tolist() for name in _COLUMNS}
        return json.dumps({"shard_size": shard_size, "names": self.names, **columns}).encode()

    @classmethod
    def from_json(cls, data: bytes, *, shard_size: int) -> Index:
        """Read the JSON of `to_json`.

        Raises:
            BadShard: it is something else, is of a shard of another size, or reaches beyond its end.
        """
        try:
            found = json.loads(data)
            names, size = found["names"], found["shard_size"]
            index = cls(names, *(np.array(found[column], np.int64).reshape(-1) for column in _COLUMNS))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise BadShard(f"not an index of a shard: {type(error).__name__}") from None
        if size != shard_size:
            raise BadShard(f"an index of a shard of {size} bytes, and this one has {shard_size}")
        index.check(shard_size)
        return index

    def check(self, shard_size: int) -> None:
        """Check that members lie one behind the other inside a shard of so many bytes.

        Raises:
            BadShard: they don't.
        """
        names, offsets, sizes, headers = self
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadShard("not an index of a shard: its names are no text")
        if not len(names) == len(offsets) == len(sizes) == len(headers):
            raise BadShard("not an index of a shard: its columns differ in length")
        if len(names) and (sizes.min() < 0 or offsets[0] < HEADER or sizes.max() > shard_size):
            raise BadShard("a member has an impossible size or position")
        ends = np.append(offsets[1:] - HEADER, shard_size)
        if (offsets + sizes > ends).any():
            raise BadShard("members overlap, or reach beyond the end: truncated or damaged")


def scan(path: Path) -> Index:
    """Make the index of a tar file; see `scan_file`."""
    with path.open("rb") as file:
        return scan_file(file)


def scan_file(file: BinaryIO) -> Index:
    """Make the index of an open tar file from its headers.

    Only regular files with an image's suffix are listed: links and devices are left out, and a name is never a path.

    Raises:
        BadShard: it isn't a whole, uncompressed tar file.
        OSError: it can't be read.
    """
    members: list[tuple[str, int, int, int]] = []
    size = file.seek(0, 2)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="replace") as tar:
            before = -1
            while (member := tar.next()) is not None:
                if member.offset <= before:  # a header of negative size would lead back for ever
                    raise BadShard("a member has an impossible size or position")
                before = member.offset
                if member.isreg() and not member.issparse() and _is_image(member.name):
                    header = read_header(file, member.offset_data)
                    members.append((member.name, member.offset_data, member.size, zlib.crc32(header)))
                tar.members = []  # type: ignore[attr-defined]  # else each member that was read takes memory
            file.seek(tar.offset)
            rest = file.read(HEADER)
    except BadShard:
        raise
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise BadShard(_reason(file, error)) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is a seek to before the file
            raise
        raise BadShard(_reason(file, error)) from None
    if any(rest) or len(rest) < HEADER:  # where tarfile stops silently
        raise BadShard("truncated or damaged: its end-of-archive block is missing")
    names, *columns = zip(*members, strict=True) if members else ((), (), (), ())
    index = Index([str(name) for name in names], *(np.array(column, np.int64) for column in columns))
    index.check(size)
    return index


def read_header(file: BinaryIO, offset: int) -> bytes:
    """The header of the member whose data begin at an offset; the position in the file stays."""
    before = file.tell()
    file.seek(offset - HEADER)
    header = file.read(HEADER)
    file.seek(before)
    return header


def _is_image(name: str) -> bool:
    file = name.rpartition("/")[2]
    return not file.startswith(".") and Path(file).suffix.lower() in readable_suffixes()


def _reason(file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    if file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5"):
        return "compressed, and samples are read at random; decompress it (gunzip)"
    return f"not a tar file that can be read: {error}"
