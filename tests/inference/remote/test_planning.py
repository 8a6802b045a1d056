"""Plans of conversions from and to remote folders: fsspec's memory:// stands for object stores."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from i2i.errors import UsageError
from i2i.inference.planning import Job
from i2i.inference.remote.folders import RemoteFolders, stamp_of
from i2i.inference.remote.planning import plan_remote, refuse_collisions


def names(source: str, output: str = "memory://out") -> list[str]:
    return [job.source.as_posix() for job in plan_remote(source, output).jobs]


def test_a_folder_is_planned_without_hidden_files_and_texts(bucket: fsspec.AbstractFileSystem) -> None:
    jobs, folders, unreadable, left_out = plan_remote("memory://photos/", "memory://out", suffix=".jpg")
    assert jobs == [
        Job(Path("1.png"), Path("1.jpg")),
        Job(Path("sub/2.png"), Path("sub/2.jpg")),
        Job(Path("sub/3.png"), Path("sub/3.jpg")),
    ]
    assert folders == RemoteFolders("memory:///photos", "memory://out")
    assert not unreadable
    assert left_out == {"hidden file": 1, "non-image": 1}


def test_a_glob_and_an_image_are_planned(bucket: fsspec.AbstractFileSystem) -> None:
    assert names("memory://photos/**/[23].png") == ["sub/2.png", "sub/3.png"]
    assert names("memory://photos/sub/3.png") == ["3.png"]


def test_a_name_that_exists_is_no_glob(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/set [1]/a.png", b"a")
    assert names("memory://set [1]") == ["a.png"]
    assert names("memory://set [1]/a.png") == ["a.png"]


def test_either_side_may_be_local(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    jobs, folders, *_ = plan_remote(str(tmp_path / "local"), "memory://out")
    assert jobs[0] == Job(tmp_path / "local" / "1.png", Path("1.png"))
    assert folders == RemoteFolders("", "memory://out")
    jobs, folders, *_ = plan_remote("memory://photos", str(tmp_path / "out"))
    assert jobs[0] == Job(Path("1.png"), tmp_path / "out" / "1.png")
    assert folders == RemoteFolders("memory:///photos", "")


def test_an_object_cannot_name_a_file_outside(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.store["/photos/../../escaped.png"] = bucket.store["/photos/1.png"]
    assert len(names("memory://photos")) == 3


def test_links_cannot_lead_outputs_out_of_the_folder(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="leads out of"):
        plan_remote("memory://photos", str(tmp_path / "out"))


def test_images_of_formats_that_cannot_be_read_are_named(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/photos/4.heic", b"heic")
    ((reason, paths),) = plan_remote("memory://photos", "memory://out").unreadable.items()
    assert "HEIC images can't be read" in reason
    assert paths == [Path("4.heic")]


def test_outputs_in_a_source_folder_are_not_inputs(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/photos/out/1.png", b"output")
    assert len(names("memory://photos", "memory://photos/out")) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("memory://nothing", "memory://out"), "no images there"),
        (("memory://photos", "memory://photos"), "1.png is an input and would be overwritten"),
        (("memory://photos", "memory://out.png"), "is translated into a folder; give one"),
        (("memory://photos", "memory://out.heic"), "is translated into a folder; give one"),
        (("nowhere://photos", "memory://out"), "nowhere://photos: "),
    ],
)
def test_what_cannot_be_planned_is_refused(
    words: tuple[str, str], message: str, bucket: fsspec.AbstractFileSystem
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_remote(*words)


def test_an_output_folder_above_does_not_overwrite_inputs(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/photos/sub/sub/2.png", b"deeper")
    with pytest.raises(UsageError, match=r"2.png is an input and would be overwritten"):
        plan_remote("memory://photos/sub", "memory://photos")


def test_two_sources_of_one_target_are_refused(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/photos/1.bmp", b"bmp")
    with pytest.raises(UsageError, match=r"1.bmp and 1.png would both become 1.jpg"):
        plan_remote("memory://photos", "memory://out", suffix=".jpg")
    folders = RemoteFolders("memory:///photos", "memory://photos")
    with pytest.raises(UsageError, match=r"1-0.png is an input"):
        refuse_collisions([Job(Path("1.png"), Path("1-0.png")), Job(Path("1-0.png"), Path("1-0-0.png"))], folders)


def test_a_changed_file_of_equal_size_has_another_stamp() -> None:
    """Web servers that give no ETag say when a file was changed."""
    first, second = ({"size": 3, "Last-Modified": f"Sun, 29 Nov 2026 10:00:0{second} GMT"} for second in (1, 2))
    assert stamp_of(first) != stamp_of(second)
