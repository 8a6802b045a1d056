import os
import signal
import stat
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from i2i.files import remove_abandoned, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", [b"new", lambda path: path.write_bytes(b"new")])
def test_bytes_and_writers_replace_an_older_file(tmp_path, write):
    path = tmp_path / "file.bin"
    path.write_bytes(b"older and longer")
    write_whole(path, write)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file.bin"]


def test_folders_are_created(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_whole(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("ha")
        raise error

    with pytest.raises(error):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_failed_write_of_a_new_file_leaves_nothing(tmp_path):
    def write(temporary):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "file.txt", write)
    assert names(tmp_path) == []


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_whole(path, write)
    assert path.read_text() == "new"


def test_a_writer_may_choose_its_format_by_the_suffix(tmp_path):
    seen = []
    write_whole(tmp_path / "file.png", lambda temporary: seen.append(temporary.suffix) or temporary.write_bytes(b"x"))
    assert seen == [".png"]


def test_a_folder_of_that_name_is_an_error_and_leaves_no_temporary_file(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"x")
    assert names(tmp_path) == ["taken"]


@pytest.mark.parametrize(("mask", "permissions"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, permissions):
    path = tmp_path / "file.txt"
    before = os.umask(mask)
    try:
        write_whole(path, b"x")
        assert os.umask(mask) == mask, "the umask is left as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == permissions


def test_before_rename_sees_the_complete_file_and_may_stop_the_write(tmp_path):
    path, seen = tmp_path / "file.txt", []
    write_whole(path, b"one", before_rename=lambda temporary: seen.append((temporary.read_bytes(), path.exists())))
    assert seen == [(b"one", False)]

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"two", before_rename=stop)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file.txt"]


WRITES_FOR_EVER = """
import sys, time
from pathlib import Path
from i2i.files import write_whole
def wait(temporary):
    print(temporary.name, flush=True)
    time.sleep(1000)
write_whole(Path(sys.argv[1]), b"x", before_rename=wait)
"""


@pytest.mark.skipif(os.name == "nt", reason="no locks of that kind")
def test_temporary_files_of_killed_processes_are_removed_and_those_being_written_stay(tmp_path):
    others = [".i2i-notes.png", ".i2i.jsonl", f".i2i-{'0' * 32}.pt", "1.png"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f".i2i-{'1' * 32}.png").mkdir()
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(tmp_path / "2.png")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        temporary = [writer.stdout.readline().strip() for writer in writers]
        remove_abandoned(tmp_path, suffixes={".png"})
        assert set(temporary) <= set(names(tmp_path))
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait(timeout=30)
        remove_abandoned(tmp_path, suffixes={".png"})
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert names(tmp_path) == sorted([*others, f".i2i-{'1' * 32}.png", temporary[1]])


def test_a_missing_folder_has_no_temporary_files(tmp_path):
    remove_abandoned(tmp_path / "nowhere", suffixes={".png"})
    assert names(tmp_path) == []


@pytest.mark.parametrize(("mask", "permissions"), [(0o022, 0o644), (0o002, 0o664)])
def test_permissions_of_a_model_file_follow_the_umask(tmp_path, mask, permissions):
    path = tmp_path / "model.safetensors"
    before = os.umask(mask)
    try:
        write_whole(path, lambda temporary: save_file({"x": torch.zeros(2)}, temporary))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == permissions


@pytest.mark.skipif(os.name == "nt", reason="needs limits of file sizes")
@pytest.mark.parametrize(
    "write",
    [
        b"x" * 10**6,
        lambda path: path.write_bytes(b"x" * 10**6),
        lambda path: save_file({"x": torch.zeros(10**6)}, path),
        lambda path: save_with_torch(path),
    ],
    ids=["bytes", "function", "safetensors", "torch"],
)
def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path, write):
    import resource

    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, before[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            write_whole(path, write)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def save_with_torch(path):
    with path.open("wb") as file:
        torch.save(torch.zeros(10**6), file)
