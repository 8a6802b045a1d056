"""Files that are damaged, that lie, or that never end: they are named, and the others are done."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.data.folders import survey
from i2i.errors import UsageError
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.inference.conversion import Conversion
from i2i.inference.folder import convert
from i2i.inference.planning import plan, variants
from i2i.inference.record import RECORD
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
from support.images import claims, made, make_special, no_waiting, noise, put, same, translator

RGB = DecodedImage(noise(40, 40, 3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model file."""
    generator = build_generator("resnet:blocks=1,width=2", in_channels=3, out_channels=3)
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 32}, {}, 0))
    return file


class Folder:
    """A folder with a good image and others, and what `i2i translate` says of it."""

    def __init__(self, root: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.source, self.out, self.model, self.capsys = root / "in", root / "out", model, capsys
        put(self.source, "good.png", size=(9, 7))

    def translate(self, *flags: str) -> int:
        words = ["translate", str(self.source), str(self.out), "--model", str(self.model), "--device", "cpu", *flags]
        with no_waiting():
            code = main(words)
        said = self.capsys.readouterr()
        self.summary = said.out
        # Decoders say more on their own; what i2i says of an image is a line that begins so.
        self.complaints = [line for line in said.err.splitlines() if line.startswith("i2i: ")]
        assert "Traceback" not in said.err
        return code

    def written(self) -> list[str]:
        """Whatever lies in the output but the record, temporary files too."""
        found = [path.name for path in self.out.rglob("*") if not path.is_dir()] if self.out.is_dir() else []
        return sorted(name for name in found if name != RECORD)

    def check_only_good_is_done(self, bad: str, *reasons: str) -> None:
        """One of the two images is done, the other named in a line that gives a reason."""
        self.check_only_good_is_done_of([bad], *reasons)

    def check_only_good_is_done_of(self, bad: list[str], *reasons: str) -> None:
        """One of the images is done, each of the others named in a line that gives a reason."""
        assert self.translate() == 1
        assert self.written() == ["good.png"]
        for name, line in zip(sorted(bad), sorted(self.complaints), strict=True):
            assert line.startswith(f"i2i: {self.source / name}: ")
            reason = line.removeprefix(f"i2i: {self.source / name}: ")
            assert len(reason) > 10
            assert all(part in reason for part in reasons)
        assert "1 translated to b" in self.summary
        assert f"{len(bad)} failed" in self.summary


@pytest.fixture
def folder(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, model, capsys)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_a_header_that_claims_a_huge_image(folder: Folder, suffix: str) -> None:
    (folder.source / f"bomb{suffix}").write_bytes(claims(suffix, 60_000, 60_000))
    folder.check_only_good_is_done(f"bomb{suffix}", "pixels", "--max-megapixels")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_more_pixels_are_taken_where_they_are_allowed(folder: Folder, suffix: str) -> None:
    (folder.source / f"large{suffix}").write_bytes(made(DecodedImage(np.zeros((850, 1200, 1), np.uint8)), suffix))
    flags = ["--tile", "512", "--max-megapixels"]
    assert folder.translate(*flags, "1") == 1
    assert "1200 x 850 pixels, more than the 1 million that are allowed" in folder.complaints[0]
    assert "--max-megapixels 2" in folder.complaints[0]
    # With the number it says.
    assert folder.translate(*flags, "2") == 0
    assert read(folder.out / f"large{suffix}").pixels.shape[:2] == (850, 1200)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_torn_files(folder: Folder, share: float) -> None:
    names = [
        f"{number}{suffix}" for number, suffix in enumerate((".png", ".jpg", ".tif", ".webp", ".gif", ".bmp", ".npy"))
    ]
    for name in names:
        data = made(RGB, Path(name).suffix)
        (folder.source / name).write_bytes(data[: int(share * len(data))])
    folder.check_only_good_is_done_of(names)


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_torn_files_of_more_than_eight_bits(folder: Folder, depth: type, share: float) -> None:
    suffix = ".png" if depth == np.uint16 else ".tif"
    data = made(DecodedImage(noise(40, 40, 3, dtype=depth)), suffix)
    (folder.source / f"torn{suffix}").write_bytes(data[: int(share * len(data))])
    folder.check_only_good_is_done(f"torn{suffix}")


SUFFIXES = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".npy", ".PNG"]


@pytest.mark.parametrize("content", ["nothing", "zeros", "random", "text"])
def test_files_that_are_not_images_whatever_their_suffix(folder: Folder, content: str) -> None:
    contents = {
        "nothing": b"",
        "zeros": bytes(1000),
        "random": noise(1000, seed=5).tobytes(),
        "text": b"<html><body>404 Not Found</body></html>\n",
    }
    names = [f"{number}{suffix}" for number, suffix in enumerate(SUFFIXES)]
    for name in names:
        (folder.source / name).write_bytes(contents[content])
    expected = "an empty file" if content == "nothing" else "not an image that can be read"
    folder.check_only_good_is_done_of(names, expected)


@pytest.mark.parametrize(
    ("name", "kind"), [("x.jpg", ".png"), ("x.png", ".tif"), ("x.png", ".npy"), ("x.npy", ".png"), ("x.gif", ".webp")]
)
def test_names_that_lie_are_read_as_what_they_hold(folder: Folder, name: str, kind: str) -> None:
    (folder.source / name).write_bytes(made(RGB, kind))
    assert folder.translate() == 0
    target = folder.out / name.replace(".gif", ".png")
    assert read(target).pixels.shape == (40, 40, 3)
    # What is written is what its name says.
    formats = {".jpg": "JPEG", ".png": "PNG"}
    if target.suffix in formats:
        with Image.open(target) as image:
            assert image.format == formats[target.suffix]
    else:
        assert np.load(target).shape == (40, 40, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, -0.1])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_floats_that_are_not_finite_or_out_of_range(folder: Folder, suffix: str, value: float) -> None:
    pixels = noise(9, 7, 3, dtype=np.float32)
    pixels[2, 3, 1] = value
    (folder.source / f"x{suffix}").write_bytes(made(DecodedImage(pixels), suffix))
    folder.check_only_good_is_done(f"x{suffix}", "in [0, 1]" if np.isfinite(value) else "1 of its 189 values")


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_an_array_of_objects_runs_nothing(folder: Folder, tmp_path: Path) -> None:
    array = np.empty((9, 7), object)
    array[:] = Planted(tmp_path / "run")
    np.save(folder.source / "x.npy", array, allow_pickle=True)
    folder.check_only_good_is_done("x.npy", "values of object")
    assert not (tmp_path / "run").exists()
    with contextlib.suppress(FileExistsError):  # after the first of its 63
        np.load(folder.source / "x.npy", allow_pickle=True)
    assert (tmp_path / "run").exists(), "it would have been run"


@pytest.mark.parametrize("profile", [None, b"no profile at all"])
def test_a_cmyk_jpeg(folder: Folder, profile: bytes | None) -> None:
    image = Image.new("CMYK", (40, 30), (0, 0, 0, 0))
    image.save(folder.source / "ink.jpg", quality=100, **({"icc_profile": profile} if profile else {}))
    result = convert(plan(str(folder.source), folder.out), same(), progress=False)
    assert not result.failed
    assert (read(folder.out / "ink.jpg").pixels >= 253).all()
    assert read(folder.out / "ink.jpg").pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("name", ["x.gif", "x.webp", "x.png", "x.tif"])
def test_the_first_frame_of_an_animation_is_translated_with_a_note(folder: Folder, name: str) -> None:
    frames = [Image.new("RGB", (20, 10), (60 * n, 0, 0)) for n in range(1, 4)]
    frames[0].save(folder.source / name, save_all=True, append_images=frames[1:])
    assert folder.translate() == 0
    (line,) = [line for line in folder.summary.splitlines() if " first of " in line]
    assert line.startswith(str(folder.source / name))
    assert read(folder.out / name.replace(".gif", ".png")).frames == 1


@pytest.mark.parametrize("torn", [1, 300])
def test_an_animation_whose_later_frames_are_torn(folder: Folder, torn: int) -> None:
    path = folder.source / "x.gif"
    frames = [Image.fromarray(noise(20, 10, 3, seed=n)) for n in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    path.write_bytes(path.read_bytes()[:-torn])
    assert folder.translate() == 0
    assert read(folder.out / "x.png").pixels.shape == (20, 10, 3)


NAMES = [
    "with space",
    "ünïcödé 図",
    "quote'\"s",
    "new\nline",
    "-leading",
    "--model",
    "[1]*?",
    "a%20b",
    "$HOME",
    "tab\t",
]
NAMES += ["x" * 200, "x" * 251, "\udcff\udcfe", "\x1b[31mred", "two.dots"]


@pytest.mark.parametrize("stem", NAMES)
def test_every_name_is_kept(folder: Folder, stem: str) -> None:
    name = f"{stem}.png"
    try:
        put(folder.source, name, size=(9, 7))
    except OSError:
        pytest.skip("no such name on this file system")
    assert folder.translate() == 0
    assert folder.written() == sorted([name, "good.png"])
    assert folder.translate() == 0
    assert "2 there already" in folder.summary


@pytest.mark.parametrize("stem", NAMES)
def test_every_name_is_reported_in_one_line(folder: Folder, stem: str) -> None:
    name = f"{stem}.png"
    try:
        (folder.source / name).write_bytes(b"no image")
        Image.new("L", (4, 4)).save(
            folder.source / f"2{stem[:-1]}.gif", save_all=True, append_images=[Image.new("L", (4, 4), 9)]
        )
    except OSError:
        pytest.skip("no such name on this file system")
    assert folder.translate() == 1
    (line,) = folder.complaints
    assert line.endswith(".png: not an image that can be read: text")
    assert line.isprintable()
    assert len(folder.summary.splitlines()) == 2
    assert all(line.isprintable() for line in folder.summary.splitlines())
    if stem.isprintable():
        assert line == f"i2i: {folder.source / name}: not an image that can be read: text"


def test_names_too_long_for_a_variant_are_named_and_the_others_done(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    put(source, "short.png", "x" * 251 + ".png", size=(16, 16))
    generator = build_generator("unet:depth=2,width=4,norm=none,dropout=0,latent=2", in_channels=3, out_channels=3)
    jobs = variants(plan(str(source), out), 2)
    result = convert(jobs, translator(generator), progress=False)
    assert sorted(path.name for path in out.iterdir()) == ["short-0.png", "short-1.png"]
    ((path, reason),) = result.failed.items()
    assert path.name == "x" * 251 + ".png"
    assert reason.endswith("File name too long")


def check_nothing_half(out: Path, result: Conversion, source: Path) -> None:
    """What lies in the output is what was written, each image whole."""
    assert sorted(path for path in out.rglob("*") if not path.is_dir()) == sorted(job.target for job in result.written)
    for job in result.written:
        assert (read(job.target).pixels == read(job.source).pixels).all()
    total = len(result.written) + len(result.failed) + len(result.undone)
    assert total == len([path for path in source.rglob("*") if path.is_file()])


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A small disk at a folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "i2i-test", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_a_conversion_and_more_space_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for index in range(40):
        (source / f"{index:02}.bmp").write_bytes(made(DecodedImage(noise(64, 64, 3, seed=index)), ".bmp"))
    with mounted(out, "64k"):
        result = convert(plan(str(source), out), same(), progress=False)
        assert 1 <= len(result.written) <= 5
        # Those under way when it was full are left to do, too.
        assert len(result.undone) == 40 - len(result.written)
        assert result.stopped.endswith(": No space left on device")
        check_nothing_half(out, result, source)
        assert main(["translate", str(source), str(out), "--model", str(model), "--device", "cpu"]) == 1
        said = capsys.readouterr()
        assert f"{len(result.undone)} not done" in said.out
        (line,) = said.err.splitlines()
        assert re.fullmatch(r"i2i: can't write .*: No space left on device: .* give the same command again", line)
        subprocess.run(["mount", "-o", "remount,size=4m", str(out)], check=True)
        again = convert(plan(str(source), out), same(), progress=False)
        assert len(again.skipped) == len(result.written)
        assert len(again.written) == 40 - len(result.written)
        there = sorted(path.name for path in out.iterdir() if path.name != RECORD)
        assert there == sorted(path.name for path in source.iterdir())


def test_a_read_only_disk_stops_a_conversion(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    put(source, *(f"{index:02}.png" for index in range(40)))
    with mounted(out, "64k"):
        subprocess.run(["mount", "-o", "remount,ro", str(out)], check=True)
        result = convert(plan(str(source), out), same(), progress=False)
        assert not result.written
        assert len(result.undone) == 40
        assert result.stopped.endswith(": Read-only file system")
        check_nothing_half(out, result, source)


def test_a_file_larger_than_is_allowed_fails_alone(folder: Folder) -> None:
    (folder.source / "large.bmp").write_bytes(made(DecodedImage(noise(200, 200, 3)), ".bmp"))
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        result = convert(plan(str(folder.source), folder.out), same(), progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [job.source.name for job in result.written] == ["good.png"]
    (reason,) = result.failed.values()
    assert reason == f"can't write {folder.out / 'large.bmp'}: File too large"
    assert not result.undone
    check_nothing_half(folder.out, result, folder.source)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc on this system")
def test_an_output_where_no_folder_can_be_made_is_reported_once(folder: Folder) -> None:
    put(folder.source, "more.png", size=(9, 7))
    folder.out = Path("/proc/i2i")
    assert folder.translate() == 1
    (line,) = folder.complaints
    assert line.startswith("i2i: can't write /proc/i2i")
    assert "2 images not translated" in line
    assert "0 translated" in folder.summary


@contextlib.contextmanager
def nobody() -> Iterator[Path]:
    """As a user who may not read and write everything, with a folder of their own; root may."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no users of that kind on this system")
    with tempfile.TemporaryDirectory() as folder:
        root, euid = Path(folder), os.geteuid()
        root.chmod(0o777)
        if euid == 0:
            os.seteuid(65534)
        try:
            yield root
        finally:
            if euid == 0:
                os.seteuid(0)
            for path in [root, *root.rglob("*")]:
                path.chmod(0o777)


def test_a_folder_that_may_not_be_written_is_named_and_others_are_done() -> None:
    with nobody() as root:
        source, out = root / "in", root / "out"
        put(source, "a/1.png", "b/2.png")
        (out / "a").mkdir(parents=True)
        (out / "a").chmod(stat.S_IRUSR | stat.S_IXUSR)
        result = convert(plan(str(source), out), same(), progress=False)
        assert [job.target for job in result.written] == [out / "b/2.png"]
        assert result.failed == {source / "a/1.png": f"can't write {out / 'a/1.png'}: Permission denied"}
        check_nothing_half(out, result, source)


def test_a_file_that_may_not_be_read_is_named_and_others_are_done() -> None:
    with nobody() as root:
        source, out = root / "in", root / "out"
        put(source, "1.png", "2.png")
        (source / "1.png").chmod(0)
        result = convert(plan(str(source), out), same(), progress=False)
        assert [job.target for job in result.written] == [out / "2.png"]
        assert result.failed == {source / "1.png": "Permission denied"}


@pytest.mark.parametrize("mode", [0, 0o111, 0o444])
def test_a_folder_that_may_not_be_read_is_named_and_others_are_done(
    mode: int, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = model.read_bytes()
    # Once before, because nobody may be unable to read what the command imports.
    put(tmp_path, "1.png")
    assert main(["translate", str(tmp_path / "1.png"), str(tmp_path / "out"), "--model", str(model)]) == 0
    capsys.readouterr()
    with nobody() as root:
        source, out = root / "in", root / "out"
        put(source, "1.png", "closed/2.png")
        (source / "closed").chmod(mode)
        (root / "model.safetensors").write_bytes(weights)
        flags = ["--model", str(root / "model.safetensors"), "--device", "cpu"]
        assert main(["translate", str(source), str(out), *flags]) == 1
        said = capsys.readouterr()
        assert sorted(path.name for path in out.rglob("*.png")) == ["1.png"]
        (line,) = said.err.splitlines()
        assert line.startswith(f"i2i: {source / 'closed'}")
        assert line.endswith("Permission denied")
        assert "1 translated to b" in said.out
        assert "1 failed" in said.out
        # A glob that doesn't look there has nothing to say.
        assert main(["translate", f"{source}/*.png", str(out), *flags]) == 0
        assert main(["translate", f"{source}/**/*.png", str(out), *flags]) == 1
        if mode != 0o444:
            capsys.readouterr()
            assert main(["translate", str(source / "closed"), str(out), *flags]) == 2
            assert "closed: this folder can't be read: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [0, 0o111])
def test_a_data_set_with_a_folder_that_may_not_be_read_is_refused(mode: int) -> None:
    with nobody() as root:
        for name in (".hidden", "lost+found", "train", "train/closed"):
            put(root, f"{name}/1.png")
        for name in (".hidden", "lost+found"):  # of the system's, as on a disk of its own
            (root / name).chmod(0)
        assert len(survey([root], data="single").train.b) == 2
        (root / "train/closed").chmod(mode)
        with pytest.raises(UsageError, match="train/closed: this folder can't be read: Permission denied"):
            survey([root], data="single")


def test_links_pipes_sockets_and_folders_named_as_images(folder: Folder) -> None:
    make_special(folder.source)
    (folder.source / "folder.png").mkdir()
    put(folder.source / "folder.png", "1.png", size=(9, 7))
    (folder.source / "loop").symlink_to(folder.source, target_is_directory=True)
    (folder.source / "zero.png").symlink_to("/dev/zero")
    (folder.source / "gone.png").symlink_to(folder.source / "nowhere")
    assert folder.translate() == 0
    assert folder.written() == ["1.png", "good.png"]
    assert "3 symbolic links left out" in folder.summary
    assert "2 translated" in folder.summary


@pytest.mark.parametrize("name", ["pipe.png", "socket.png", "zero.png", "folder.png"])
def test_a_special_file_given_alone_is_refused(folder: Folder, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_special(folder.source)
    (folder.source / "folder.png").mkdir()
    (folder.source / "zero.png").symlink_to("/dev/zero")
    with no_waiting():
        assert main(["translate", str(folder.source / name), str(folder.out), "--model", str(folder.model)]) == 2
    assert name in capsys.readouterr().err
    assert folder.written() == []


def test_a_link_in_the_output_that_leads_outside_is_refused(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder.source, "a/1.png", "a/b/2.png", size=(9, 7))
    folder.out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder.out / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert folder.translate() == 2
    (line,) = folder.complaints
    assert "is a symbolic link that leads out of" in line
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert folder.written() == []


def test_an_image_that_is_deleted_before_its_turn_is_named(folder: Folder) -> None:
    put(folder.source, "gone.png")
    jobs = plan(str(folder.source), folder.out)
    (folder.source / "gone.png").unlink()
    result = convert(jobs, same(), progress=False)
    assert result.failed == {folder.source / "gone.png": "No such file or directory"}
    assert [job.source.name for job in result.written] == ["good.png"]


def test_an_output_that_is_a_folder_is_named(folder: Folder) -> None:
    put(folder.source, "x.png", size=(9, 7))
    (folder.out / "x.png").mkdir(parents=True)
    assert folder.translate("--overwrite") == 1
    (line,) = folder.complaints
    assert line == f"i2i: {folder.source / 'x.png'}: can't write {folder.out / 'x.png'}: Is a directory"
    assert folder.written() == ["good.png"]


def test_a_contact_sheet_that_cannot_be_written_hides_nothing(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "sheet.png").mkdir()
    assert folder.translate("--contact-sheet", str(tmp_path / "sheet.png")) == 1
    assert "1 translated" in folder.summary
    assert "Is a directory" in folder.complaints[0]
