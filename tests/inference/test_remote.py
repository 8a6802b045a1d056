"""Conversions from and to remote folders: fsspec's memory:// stands for object stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from i2i import Translator
from i2i.cli import main
from i2i.errors import UsageError
from i2i.inference.chunks import ChunkTask
from i2i.inference.folder import ConvertOptions
from i2i.inference.planning import Job
from i2i.inference.remote import RemoteFolders, plan_remote
from support.images import noise

MODEL = ["--model", "map2sat-lite"]


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """An object store with three images, a hidden one, a text and a broken image."""
    memory = fsspec.filesystem("memory")
    for name, seed in (("photos/1.png", 1), ("photos/sub/2.png", 2), ("photos/sub/3.png", 3)):
        file = tmp_path / "local" / Path(name).relative_to("photos")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(32, 32, 3, seed=seed)).save(file)
        memory.pipe_file(f"/{name}", file.read_bytes())
    memory.pipe_file("/photos/.hidden.png", b"hidden")
    memory.pipe_file("/photos/notes.txt", b"text")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def files_of(memory: fsspec.AbstractFileSystem, root: str) -> dict[str, bytes]:
    return {
        path.removeprefix(f"{root}/"): memory.cat_file(path)
        for path in memory.find(root)
        if not path.endswith(".i2i.json")
    }


def test_a_folder_is_planned_without_hidden_files_and_texts(bucket: fsspec.AbstractFileSystem) -> None:
    jobs, folders = plan_remote("memory://photos", "memory://out", suffix=".jpg")
    assert jobs == [
        Job(Path("1.png"), Path("1.jpg")),
        Job(Path("sub/2.png"), Path("sub/2.jpg")),
        Job(Path("sub/3.png"), Path("sub/3.jpg")),
    ]
    assert folders.target == "memory://out"


def test_a_glob_and_an_image_are_planned(bucket: fsspec.AbstractFileSystem) -> None:
    jobs, _ = plan_remote("memory://photos/**/[23].png", "memory://out")
    assert [job.source.as_posix() for job in jobs] == ["sub/2.png", "sub/3.png"]
    jobs, _ = plan_remote("memory://photos/sub/3.png", "memory://out")
    assert [job.source.as_posix() for job in jobs] == ["3.png"]


def test_an_object_cannot_name_a_file_outside(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.store["/photos/../../escaped.png"] = bucket.store["/photos/1.png"]
    jobs, _ = plan_remote("memory://photos", "memory://out")
    assert all(".." not in job.source.parts for job in jobs)


def test_outputs_in_a_source_folder_are_not_inputs(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe_file("/photos/out/1.png", b"output")
    jobs, _ = plan_remote("memory://photos", "memory://photos/out")
    assert len(jobs) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("memory://nothing", "memory://out"), "no images there"),
        (("memory://photos", "memory://photos"), "1.png would be written over itself"),
        (("memory://photos", "memory://out.png"), "give a folder"),
        (("nowhere://photos", "memory://out"), "nowhere://photos: "),
    ],
)
def test_what_cannot_be_planned_is_refused(
    words: tuple[str, str], message: str, bucket: fsspec.AbstractFileSystem
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_remote(*words)


def test_remote_folders_give_the_bytes_that_local_ones_give(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.pipe_file("/photos/broken.png", b"no image")
    assert main(["translate", "memory://photos", "memory://out", *MODEL]) == 1
    shown = capsys.readouterr()
    assert "broken.png: " in shown.err
    assert "memory://out: 3 translated to sat" in shown.out
    assert main(["translate", str(tmp_path / "local"), str(tmp_path / "there"), *MODEL]) == 0
    expected = {str(p.relative_to(tmp_path / "there")): p.read_bytes() for p in (tmp_path / "there").rglob("*.png")}
    assert files_of(bucket, "/out") == expected
    assert main(["translate", "memory://photos", str(tmp_path / "mixed"), *MODEL]) == 1
    assert {
        str(p.relative_to(tmp_path / "mixed")): p.read_bytes() for p in (tmp_path / "mixed").rglob("*.png")
    } == expected


def test_a_conversion_is_resumed_and_other_models_are_not_mixed_in(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "memory://photos", "memory://out"]
    assert main([*words, *MODEL]) == 0
    bucket.rm_file("/out/sub/2.png")
    capsys.readouterr()
    assert main([*words, *MODEL]) == 0
    assert "1 translated to sat" in (shown := capsys.readouterr().out)
    assert "2 there already" in shown
    assert main([*words, "--model", "sketch2flower-lite"]) == 2
    assert "holds images made by another model (map2sat-lite to sat): add --overwrite" in capsys.readouterr().err
    before = files_of(bucket, "/out")
    assert main([*words, "--model", "sketch2flower-lite", "--overwrite"]) == 0
    after = files_of(bucket, "/out")
    assert after.keys() == before.keys()
    assert after != before
    assert json.loads(bucket.cat_file("/out/.i2i.json"))["name"] == "sketch2flower-lite"


def test_what_cannot_be_uploaded_is_named_and_nothing_partial_is_left(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(32, 32, 3)).save(tmp_path / "in" / "1.png")
    (tmp_path / "out" / "1.png").mkdir(parents=True)  # a folder where the file should be
    folders = RemoteFolders(f"file://{tmp_path}/in", f"file://{tmp_path}/out")
    task = ChunkTask(ConvertOptions(), remote=folders)
    result = task([Job(Path("1.png"), Path("1.png"))], Translator.load("map2sat-lite"))
    assert result.failed.keys() == {Path("1.png")}
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == []
