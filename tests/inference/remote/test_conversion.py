"""Conversions from and to remote folders, on the command line."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from i2i import Translator
from i2i.cli import main
from i2i.inference.chunks import ChunkTask, convert_in_chunks, in_this_process
from i2i.inference.folder import ConvertOptions
from i2i.inference.planning import Job
from i2i.inference.remote.copies import upload
from i2i.inference.remote.folders import RemoteFolder, RemoteFolders
from i2i.inference.remote.planning import plan_remote
from i2i.inference.remote.record import RemoteRecord
from support.images import noise
from support.shards import served

WORDS = ["translate", "memory://photos", "memory://out"]
MODEL, OTHER = ["--model", "map2sat-lite"], ["--model", "sketch2flower-lite"]


def outputs(memory: fsspec.AbstractFileSystem, root: str = "/out") -> dict[str, bytes]:
    found = {path.removeprefix(f"{root}/"): memory.cat_file(path) for path in memory.find(root)}
    return {name: content for name, content in found.items() if not name.startswith(".i2i/")}


def local_outputs(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_remote_folders_give_the_bytes_that_local_ones_give(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.pipe_file("/photos/broken.png", b"no image")
    bucket.pipe_file("/photos/4.heic", b"heic")
    assert main([*WORDS, *MODEL]) == 1
    shown = capsys.readouterr()
    assert "broken.png: " in shown.err
    assert "4.heic: HEIC images can't be read" in shown.err
    assert "memory://out: 3 translated to sat" in shown.out
    assert main(["translate", str(tmp_path / "local"), str(tmp_path / "there"), *MODEL]) == 0
    expected = local_outputs(tmp_path / "there")
    assert outputs(bucket) == expected
    assert main(["translate", "memory://photos", str(tmp_path / "mixed"), *MODEL]) == 1
    assert local_outputs(tmp_path / "mixed") == expected
    assert main(["translate", str(tmp_path / "local"), "memory://mixed", *MODEL]) == 0
    assert outputs(bucket, "/mixed") == expected


@pytest.mark.parametrize("output", ["memory://out", "out"])
def test_a_conversion_is_resumed(
    output: str,
    bucket: fsspec.AbstractFileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["translate", "memory://photos", output, *MODEL]
    assert main(words) == 0
    first = outputs(bucket) or local_outputs(tmp_path / "out")
    bucket.rm_file("/out/1.png") if bucket.exists("/out") else (tmp_path / "out" / "1.png").unlink()
    changed = tmp_path / "changed.png"
    Image.fromarray(noise(32, 32, 3, seed=9)).save(changed)
    bucket.pipe_file("/photos/sub/2.png", changed.read_bytes())
    capsys.readouterr()
    assert main(words) == 0
    assert "2 translated to sat" in (shown := capsys.readouterr().out)
    assert "1 of them again, as the input has changed, 1 there already (--overwrite" in shown
    second = outputs(bucket) or local_outputs(tmp_path / "out")
    assert {name for name in first if first[name] != second[name]} == {"sub/2.png"}


@pytest.mark.parametrize("output", ["memory://out", "out"])
def test_outputs_of_two_models_are_not_mixed(
    output: str,
    bucket: fsspec.AbstractFileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["translate", "memory://photos", output]
    assert main([*words, *MODEL]) == 0
    assert main([*words, *OTHER]) == 2
    assert "holds 3 made by another model (map2sat-lite to sat): add --overwrite" in capsys.readouterr().err
    # One image by the other model makes the folder no folder of that model.
    assert main(["translate", "memory://photos/1.png", output, *OTHER, "--overwrite"]) == 0
    assert main([*words, *OTHER]) == 2
    assert "holds " in capsys.readouterr().err
    assert main([*words, *OTHER, "--overwrite"]) == 0
    assert main([*words, *OTHER]) == 0
    assert "3 there already (--overwrite" in capsys.readouterr().out


def test_what_another_program_wrote_is_of_an_unknown_model(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.pipe_file("/out/1.png", b"of another program")
    assert main([*WORDS, *MODEL]) == 0
    assert "1 there already, 1 of them by an unknown model" in capsys.readouterr().out
    assert main([*WORDS, *MODEL]) == 0
    assert "3 there already, 1 of them by an unknown model" in capsys.readouterr().out


def test_what_depends_on_no_option_is_not_made_again(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, *MODEL]) == 0
    assert main([*WORDS, *MODEL, "--quality", "80"]) == 0  # which PNGs don't depend on
    assert "3 there already (--overwrite" in capsys.readouterr().out


def test_outputs_beside_their_inputs_are_no_inputs(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "memory://photos", "memory://photos", *MODEL, "--format", "jpg"]
    assert main(words) == 0
    assert main(words) == 0
    assert "3 there already (--overwrite" in capsys.readouterr().out
    assert sum(name.endswith(".jpg") for name in outputs(bucket, "/photos")) == 3


def test_an_interruption_keeps_what_was_done(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        bucket.pipe_file(f"/photos/more/{number}.png", bucket.cat_file("/photos/1.png"))
    jobs, folders, *_ = plan_remote("memory://photos", "memory://out")
    translator, calls = Translator.load("map2sat-lite"), list[int]()
    call = translator.backend.run

    def interrupted(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 40:  # by then the first ones have been written
            raise KeyboardInterrupt
        return call(*args)

    monkeypatch.setattr(translator.backend, "run", interrupted)
    assert folders is not None
    with pytest.raises(KeyboardInterrupt):
        convert_in_chunks(
            jobs, translator, ConvertOptions(), engine=in_this_process(translator), remote=folders, progress=False
        )
    kept = outputs(bucket)
    assert 20 < len(kept) < 40
    assert set(kept) == {name for name, _ in RemoteRecord.read(RemoteFolder.at("memory://out")).made}


def test_many_objects_of_the_record_become_one(bucket: fsspec.AbstractFileSystem) -> None:
    translator, options = Translator.load("map2sat-lite"), ConvertOptions()
    recording, folders = (
        options.recording(translator, "map2sat-lite"),
        RemoteFolders("memory:///photos", "memory://out"),
    )
    for _ in range(120):  # of which the last is what the output is of
        ChunkTask(options, recording, remote=folders)([Job(Path("1.png"), Path("1.png"))], translator)
    assert len(bucket.find("/out/.i2i")) == 120
    assert main([*WORDS, *MODEL]) == 0
    assert len(bucket.find("/out/.i2i")) == 2
    record = RemoteRecord.read(RemoteFolder.at("memory://out"))
    assert {name for name, _ in record.made} == {"1.png", "sub/2.png", "sub/3.png"}
    assert len(record.made) == 3


class OtherStorage(MemoryFileSystem):
    """A storage whose lists say less of a file than it does when it is asked, by a sum of the contents as S3 does."""

    protocol = "other"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    broken: ClassVar[set[str]] = set()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("other://", "memory://")))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        found = super().info(path, **options)
        found.pop("created", None)
        if found["type"] == "file":
            found["ETag"] = hashlib.sha256(self.cat_file(path)).hexdigest()
        return dict(found)

    def find(self, path: str, *args: Any, **options: Any) -> Any:
        found = super().find(path, *args, **options)
        if options.get("detail"):
            return {name: {key: about[key] for key in ("name", "size", "type")} for name, about in found.items()}
        return found

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        if "uploads" in self.broken:
            raise PermissionError("Access Denied")
        super().put_file(lpath, rpath, *args, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        if "record" in self.broken and "/.i2i/" in path:
            raise RuntimeError("Slow Down")
        super().pipe_file(path, value, **options)


@pytest.fixture
def other(bucket: fsspec.AbstractFileSystem) -> Iterator[OtherStorage]:
    """Another storage with the same images."""
    fsspec.register_implementation("other", OtherStorage, clobber=True)
    storage: OtherStorage = fsspec.filesystem("other")
    for path in bucket.find("/photos"):
        storage.pipe_file(path, bucket.cat_file(path))
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    storage.broken.clear()


def test_a_storage_whose_lists_say_little_is_resumed(
    other: OtherStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("i2i.inference.remote.record._MANY", 1)
    words = ["translate", "other://photos", "other://out"]
    for _ in range(3):
        assert main([*words, *MODEL]) == 0
    assert "3 there already (--overwrite" in capsys.readouterr().out
    assert main([*words, *OTHER]) == 2


def test_the_last_of_two_equal_outputs_says_how_it_was_made(
    other: OtherStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "other://photos", "other://out", *MODEL]
    assert main(words) == 0
    assert main([*words, "--tile", "512", "--overwrite"]) == 0  # the same bytes, and the same sums
    for _ in range(3):
        assert main([*words, "--tile", "512"]) == 0


@pytest.mark.parametrize(("broken", "said"), [("uploads", "can't be written: Access Denied"), ("record", "Slow Down")])
def test_a_conversion_stops_where_nothing_can_be_written(
    broken: str, said: str, other: OtherStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for number in range(100):  # two chunks
        other.pipe_file(f"/photos/{number}.png", other.cat_file("/photos/1.png"))
    other.broken.add(broken)
    assert main(["translate", "other://photos", "other://out", *MODEL]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "images not translated" in err


def test_an_output_that_was_replaced_is_an_input(
    bucket: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", "memory://photos", "memory://photos", *MODEL]
    assert main([*words, "--format", "jpg"]) == 0
    bucket.pipe_file("/photos/photograph.jpg", bucket.cat_file("/photos/1.jpg"))
    bucket.rm_file("/photos/1.jpg")
    bucket.rm_file("/photos/1.png")
    bucket.mv("/photos/photograph.jpg", "/photos/1.jpg")
    capsys.readouterr()
    assert main([*words, "--format", "webp"]) == 0
    assert "3 translated" in capsys.readouterr().out


def test_a_folder_that_is_removed_meanwhile_is_not_made_again(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    jobs, folders, *_ = plan_remote("memory://photos", str(tmp_path / "out"))
    translator = Translator.load("map2sat-lite")

    def engine(task: ChunkTask, chunks: list[list[Job]]) -> Any:
        for number, chunk in enumerate(chunks):
            if number == 2:
                shutil.rmtree(tmp_path / "out")
            yield task(chunk, translator)

    options = ConvertOptions()
    record = tmp_path / "out"
    result = convert_in_chunks(
        jobs, translator, options, engine=engine, remote=folders, record=record, chunk=1, progress=False
    )
    assert "out" in result.stopped
    assert not (tmp_path / "out").exists()


class Failing(MemoryFileSystem):
    """A storage that isn't an object store, whose renaming fails."""

    protocol = "failing"

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        raise ConnectionError("the connection was lost")


def test_an_upload_that_fails_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"output")
    folder = RemoteFolder(Failing(), "/failing")
    with pytest.raises(ConnectionError):
        upload(folder, tmp_path / "1.png", Path("sub/1.png"))
    assert folder.fs.find("/failing") == []


def test_a_storage_without_credentials_is_one_line(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoCredentials(Exception):
        pass

    def refuse(*_: Any, **__: Any) -> None:
        raise NoCredentials("Unable to locate credentials")

    jobs_planned = plan_remote("memory://photos", "memory://out")
    assert len(jobs_planned.jobs) == 3
    monkeypatch.setattr(MemoryFileSystem, "invalidate_cache", refuse)
    assert main([*WORDS, *MODEL]) == 2
    assert "Unable to locate credentials" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["clip.mp4", "memory://out/clip.mp4"], ["-", "memory://out/1.png"]])
def test_videos_and_pipes_are_local(
    words: list[str], bucket: fsspec.AbstractFileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", *words, *MODEL]) == 2
    assert "give local files" in capsys.readouterr().err


def test_an_empty_path_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, name in ((["", "memory://out"], "INPUT"), (["memory://photos", ""], "OUTPUT")):
        assert main(["translate", *words, *MODEL]) == 2
        assert f"{name} is empty; give a path" in capsys.readouterr().err


def test_images_of_a_web_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web").mkdir()
    Image.fromarray(noise(32, 32, 3)).save(tmp_path / "web" / "a b.png")
    with served(tmp_path / "web") as server:
        assert main(["translate", f"{server.url}/*.png", str(tmp_path / "out"), *MODEL]) == 0
        assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["a b.png"]
        assert main(["translate", f"{server.url}/*.png", str(tmp_path / "out"), *MODEL]) == 0
        assert "1 there already (--overwrite" in capsys.readouterr().out
        assert main(["translate", server.url, str(tmp_path / "out"), *MODEL]) == 2
        assert (
            f"a web server has no folders; give an image, or a glob such as {server.url}/*.png"
            in capsys.readouterr().err
        )


def test_a_file_address_is_a_path(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    assert main(["translate", f"file://{tmp_path}/local", f"file://{tmp_path}/out", *MODEL]) == 0
    assert (tmp_path / "out" / ".i2i.jsonl").is_file()
