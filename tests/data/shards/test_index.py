"""Indices of tar files, also of hostile ones."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from i2i.data.shards.index import BadShard, Index, scan
from support.shards import png, write_tar


def member(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def write_members(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_index_says_where_the_bytes_of_each_image_are(tmp_path: Path, style: int) -> None:
    files = {"000001.png": png(1), "text/000001.json": b"{}", f"{'deep/' * 30}ä.JPG": png(2), "000002.cls": b"3"}
    if style == tarfile.USTAR_FORMAT:
        files = {name: data for name, data in files.items() if name.isascii()}
    path = tmp_path / "one.tar"
    with tarfile.open(path, "w", format=style) as tar:
        for name, data in files.items():
            tar.addfile(member(name, size=len(data)), io.BytesIO(data))
    index, whole = scan(path), path.read_bytes()
    assert index.names == [name for name in files if name.lower().endswith((".png", ".jpg"))]
    for name, offset, size, header in zip(*index, strict=True):
        assert whole[offset : offset + size] == files[name]
        assert zlib.crc32(whole[offset - 512 : offset]) == header


def test_links_devices_and_folders_are_left_out_and_names_are_never_paths(tmp_path: Path) -> None:
    image = png(7)
    names = ["../../etc/evil.png", "/absolute.png", "a/../b.png", "line\nbreak.png"]
    path = write_members(
        tmp_path / "hostile.tar",
        [
            (member("link.png", tarfile.SYMTYPE, link="/etc/passwd"), b""),
            (member("hard.png", tarfile.LNKTYPE, link="../secret.png"), b""),
            (member("null.png", tarfile.CHRTYPE), b""),
            (member("disk.png", tarfile.BLKTYPE), b""),
            (member("pipe.png", tarfile.FIFOTYPE), b""),
            (member("folder.png", tarfile.DIRTYPE), b""),
            (member("._resource.png", size=len(image)), image),
            *((member(name, size=len(image)), image) for name in names),
        ],
    )
    assert scan(path).names == names
    assert sorted(tmp_path.iterdir()) == [path]


def damaged(path: Path, change: Callable[[bytearray], bytes | bytearray]) -> Path:
    path.write_bytes(change(bytearray(path.read_bytes())))
    return path


def with_size(data: bytearray, size: bytes) -> bytearray:
    """Another size in the first header, with the checksum that fits."""
    data[124:136] = size.ljust(12, b"\0")
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    return data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:700], "unexpected end of data"),
        (lambda data: data[:1024], "its end-of-archive block is missing"),
        (lambda data: data[:1024] + b"\xff" * 512 + data[1536:], "its end-of-archive block is missing"),
        (lambda data: b"", "not a tar file"),
        (lambda data: b"GIF89a" * 400, "not a tar file"),
        (lambda data: b"\x1f\x8b" + bytes(data[2:]), "compressed, and samples are read at random"),
        (lambda data: with_size(data, b"77777777777\0"), "not a tar file|unexpected end"),
        (lambda data: with_size(data, b"\x80" + struct.pack(">3xq", 2**62)), "not a tar file"),
        (lambda data: data[:1024] + with_size(data[1024:], b"\xff" * 4 + struct.pack(">q", -512)), "impossible size"),
        (lambda data: with_size(data, b"\xff" * 4 + struct.pack(">q", -1024)), "impossible|not a tar file"),
        (lambda data: with_size(data, b"\xff" + struct.pack(">3xq", -1024)), "not a tar file"),
    ],
)
def test_a_damaged_or_hostile_tar_file_is_refused(
    tmp_path: Path, change: Callable[[bytearray], bytes], reason: str
) -> None:
    path = write_tar(tmp_path / "one.tar", {f"{level}.png": png(level) for level in range(3)})
    with pytest.raises(BadShard, match=reason):
        scan(damaged(path, change))


def test_members_of_no_bytes_are_listed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "many.tar", {f"{number}.png": b"" for number in range(3000)})
    assert len(scan(path).names) == 3000


def test_an_index_survives_json(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "one.tar", {"1.png": png(1), "2.png": png(2)})
    index, size = scan(path), path.stat().st_size
    again = Index.from_json(index.to_json(shard_size=size), shard_size=size)
    assert again.names == index.names
    assert np.array_equal(again.offsets, index.offsets)
    assert np.array_equal(again.sizes, index.sizes)
    assert np.array_equal(again.headers, index.headers)


@pytest.mark.parametrize(
    "change",
    [
        {"shard_size": 1},
        {"names": None},
        {"names": [1, 2]},
        {"names": ["1.png"]},
        {"offsets": [512, 10**30]},
        {"offsets": [0, 1024]},
        {"offsets": [1024, 512]},
        {"sizes": [-1, 5]},
        {"sizes": [10**15, 5]},
        {"sizes": [600, 5]},
        {"sizes": "many"},
        {"sizes": None},
        {"headers": [1]},
    ],
)
def test_an_index_that_does_not_fit_its_shard_is_refused(change: dict[str, object]) -> None:
    good = {
        "shard_size": 4096,
        "names": ["1.png", "2.png"],
        "offsets": [512, 1536],
        "sizes": [100, 5],
        "headers": [1, 2],
    }
    assert Index.from_json(json.dumps(good).encode(), shard_size=4096).names == ["1.png", "2.png"]
    with pytest.raises(BadShard):
        Index.from_json(json.dumps(good | change).encode(), shard_size=4096)


@pytest.mark.parametrize("data", [b"", b"[1]", b"<html>not found</html>", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(BadShard):
        Index.from_json(data, shard_size=4096)
