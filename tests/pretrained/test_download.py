from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.pretrained.download import download
from i2i.pretrained.index import Entry, pretrained
from support.hub import Hub, serving

CONTENT = bytes(range(256)) * 8000  # 2 MB
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A server of one file, which takes ranges."""
    with serving(Hub()) as hub:
        hub.commit("me/files", "main", {"model.safetensors": CONTENT})
        yield hub


def url(hub: Hub, name: str = "model.safetensors") -> str:
    return f"{hub.url}/me/files/resolve/main/{name}"


def test_a_file_is_downloaded_whole(hub: Hub, tmp_path: Path) -> None:
    download(url(hub), tmp_path / "new" / "model.safetensors", sha256=SUM)
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == CONTENT
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"model.safetensors", ".model.safetensors.lock"}


def test_a_lost_connection_is_resumed_where_it_was_lost(hub: Hub, tmp_path: Path) -> None:
    hub.lose_after = 1_000_000
    download(url(hub), tmp_path / "model.safetensors", sha256=SUM)
    assert (tmp_path / "model.safetensors").read_bytes() == CONTENT
    assert [asked for _, _, asked in hub.requests] == ["", "bytes=1000000-"]


def test_a_part_that_a_killed_process_left_is_completed(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / f"model.safetensors.{SUM[:16]}.part").write_bytes(CONTENT[:1_500_000])
    download(url(hub), tmp_path / "model.safetensors", sha256=SUM)
    assert (tmp_path / "model.safetensors").read_bytes() == CONTENT
    assert [asked for _, _, asked in hub.requests] == ["bytes=1500000-"]


def test_a_whole_part_needs_no_download(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / f"model.safetensors.{SUM[:16]}.part").write_bytes(CONTENT)
    download(url(hub), tmp_path / "model.safetensors", sha256=SUM)
    assert (tmp_path / "model.safetensors").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"", b"x" * 100])
def test_another_file_is_not_kept(left: bytes, hub: Hub, tmp_path: Path) -> None:
    sha256 = SUM if left else "0" * 64
    if left:
        (tmp_path / f"model.safetensors.{SUM[:16]}.part").write_bytes(left)
    with pytest.raises(UsageError, match="another file than was published"):
        download(url(hub), tmp_path / "model.safetensors", sha256=sha256)
    assert [path.name for path in tmp_path.iterdir()] == [".model.safetensors.lock"]


def test_what_the_server_does_not_have_is_not_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the server answers 404"):
        download(url(hub, "other"), tmp_path / "model.safetensors", sha256=SUM)
    assert len(hub.requests) == 1


def test_a_server_that_is_gone_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(UsageError, match=r"can't be downloaded: .*refused; the same command resumes it"):
        download("http://127.0.0.1:9/model", tmp_path / "model.safetensors", sha256=SUM)
    assert pauses == [1, 2, 4, 8]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / f"model.safetensors.{SUM[:16]}.part").symlink_to("/dev/full")
    with pytest.raises(UsageError, match=r"part: can't be written: No space left"):
        download(url(hub), tmp_path / "model.safetensors", sha256=SUM)


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_other_schemes_are_refused(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="http or https"):
        download(f"{scheme}:///etc/hostname", tmp_path / "model.safetensors", sha256=SUM)


def test_an_entry_of_the_index_with_an_address_is_downloaded_once_and_verified(hub: Hub, tmp_path: Path) -> None:
    about = next(iter(pretrained().values()))
    entry = dataclasses.replace(about, file=tmp_path / "model.safetensors", sha256=SUM, url=url(hub))
    assert entry.available().read_bytes() == entry.available().read_bytes() == CONTENT
    assert len(hub.requests) == 1
    damaged = Entry(**{**vars(entry), "file": tmp_path / "damaged.safetensors"})
    damaged.file.write_bytes(CONTENT[:-1])
    with pytest.raises(UsageError, match="remove it, so that it is downloaded again"):
        damaged.available()
