"""Folders of pictures translated into folders of pictures."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import Same, assert_same_picture, made, noise, put, same, translator
from PIL import Image

from i2i.checkpoint import Model, save_model
from i2i.cli import main
from i2i.convert import convert, write_contact_sheet
from i2i.errors import UsageError
from i2i.jobs import Job, plan, variants
from i2i.networks import build_generator
from i2i.picture import Picture, read


def done(root, count, size=(4, 4)):
    """Jobs whose input is grey 10, 20, ... and whose output is a level higher."""
    for i in range(count):
        put(root / "in", f"{i}.png", level=10 * (i + 1), size=size)
        put(root / "out", f"{i}.png", level=10 * (i + 1) + 1, size=size)
    return [Job(root / "in" / f"{i}.png", root / "out" / f"{i}.png") for i in range(count)]


def shown(path, *, columns):
    """The levels of the pictures of a sheet of squares, row by row."""
    levels = read(path).levels
    rows = (levels.shape[0] - 22 - 4) // 260
    assert levels.shape == (22 + 4 + 260 * rows, 4 + 260 * columns, 3)
    middles = levels[22 + 4 + 128 :: 260, 4 + 128 :: 260]
    return [[int(pixel[0]) for pixel in row] for row in middles]


def test_a_contact_sheet_shows_pairs_three_in_a_row(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 4), domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 20, 21, 30, 31], [40, 41] + [255] * 4]


def test_a_small_contact_sheet_is_narrow(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 1), domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=2) == [[10, 11]]


def test_a_contact_sheet_chooses_evenly(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 8), domains=("map", "sat"), most=4)
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 30, 31, 50, 51], [70, 71] + [255] * 4]


def test_a_contact_sheet_shows_sixteen_bits_as_bright_as_they_are(tmp_path):
    for name in ("in.png", "out.png"):
        Image.fromarray(np.full((4, 4), 100 * 257, np.uint16)).save(tmp_path / name)
    job = Job(tmp_path / "in.png", tmp_path / "out.png")
    write_contact_sheet(tmp_path / "sheet.png", [job], domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=2) == [[100, 100]]


def done_variants(root, count, samples):
    """Jobs whose inputs are grey 10, 20, ... and whose outputs are 1, 2, ... levels higher."""
    for i in range(count):
        put(root / "in", f"{i:02}.png", level=10 * (i + 1))
        for sample in range(samples):
            put(root / "out", f"{i:02}-{sample}.png", level=10 * (i + 1) + sample + 1)
    return variants([Job(root / "in" / f"{i:02}.png", root / "out" / f"{i:02}.png") for i in range(count)], samples)


@pytest.mark.parametrize(
    ("samples", "inputs"),
    [(1, 3), (2, 2), (3, 1), (5, 1), (8, 1)],
)
def test_a_contact_sheet_shows_all_outputs_of_an_input_beside_it(tmp_path, samples, inputs):
    # As many inputs in a row as six pictures hold, one at least.
    write_contact_sheet(tmp_path / "sheet.png", done_variants(tmp_path, 4, samples), domains=("map", "sat"))
    wide = inputs * (samples + 1)
    flat = [10 * (i + 1) + sample for i in range(4) for sample in range(samples + 1)]
    rows = [flat[start : start + wide] for start in range(0, len(flat), wide)]
    expected = [row + [255] * (wide - len(row)) for row in rows]
    assert shown(tmp_path / "sheet.png", columns=wide) == expected


def test_a_contact_sheet_is_as_wide_as_its_longest_row(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done_variants(tmp_path, 1, 2), domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=3) == [[10, 11, 12]]


def test_the_captions_of_many_outputs_name_what_is_below(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done_variants(tmp_path, 2, 2), domains=("map", "sat"))
    # Dark letters begin with each column of 260 pixels, and are of two words.
    words = [read(tmp_path / "sheet.png").levels[:22, 4 + 260 * i : 260 * (i + 1)] for i in range(6)]
    a, b = words[0].tobytes(), words[1].tobytes()
    assert [word.tobytes() for word in words] == [a, b, b, a, b, b]
    assert a != b
    assert min(word.min() for word in words) < 100


def test_a_contact_sheet_counts_inputs_not_outputs(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done_variants(tmp_path, 8, 2), domains=("map", "sat"), most=4)
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 12, 30, 31, 32], [50, 51, 52, 70, 71, 72]]


def test_a_damaged_output_leaves_its_input_out(tmp_path):
    jobs_done = done_variants(tmp_path, 3, 2)
    (tmp_path / "out/01-1.png").write_bytes(b"no picture")
    write_contact_sheet(tmp_path / "sheet.png", jobs_done, domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 12, 30, 31, 32]]


def test_where_outputs_are_missing_each_stands_beside_its_input(tmp_path):
    jobs_done = done_variants(tmp_path, 2, 2)
    write_contact_sheet(tmp_path / "sheet.png", [jobs_done[0], *jobs_done[2:]], domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 255, 20, 21, 22]]


def files(folder):
    """All that lies in a folder, by its path there; hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def convert_all(source, out, translate=None, **options):
    return convert(plan(str(source), out), translate or same(), progress=False, **options)


def test_pictures_of_one_size_go_together_wherever_they_stand(tmp_path):
    sizes = {"a": (4, 6), "b": (5, 5), "c": (4, 6), "d": (5, 5), "e": (4, 6), "f": (4, 6), "g": (7, 7)}
    for place, (name, size) in enumerate(sizes.items()):
        put(tmp_path / "in", f"{name}.png", size=size, level=10 * place)
    generator = Same()
    result = convert_all(tmp_path / "in", tmp_path / "out", translator(generator), batch_size=3)
    assert sorted(shape[0] for shape in generator.seen) == [1, 1, 2, 3]
    assert {shape[2:] for shape in generator.seen if shape[0] == 3} == {(6, 4)}
    # In the order of the jobs, each in its own file.
    assert [job.source.name for job in result.written] == [f"{name}.png" for name in sizes]
    for place, (name, size) in enumerate(sizes.items()):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert (image.size, image.getpixel((0, 0))) == (size, 10 * place)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 100])
@pytest.mark.parametrize("tile", [None, 3])
def test_every_picture_is_done_whatever_the_batch(tmp_path, batch_size, tile):
    for place in range(7):
        put(tmp_path / "in", f"{place}.png", size=(5, 4 + place % 2), level=30 * place)
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=batch_size, tile=tile)
    assert [job.target.name for job in result.written] == [f"{place}.png" for place in range(7)]
    assert [int(read(job.target).levels.max()) for job in result.written] == [30 * place for place in range(7)]
    for nothing in (result.failed, result.skipped, result.undone, result.notes):
        assert not nothing


def test_of_a_mixed_batch_each_picture_keeps_its_kind(tmp_path):
    (tmp_path / "in").mkdir()
    kinds = {
        "grey.png": Picture(noise(6, 5, 1)),
        "alpha.png": Picture(noise(6, 5, 3), noise(6, 5, seed=1)),
        "deep.png": Picture(noise(6, 5, 3, dtype=np.uint16)),
        "float.tif": Picture(noise(6, 5, 3, dtype=np.float32)),
        "array.npy": Picture(noise(6, 5, 3, dtype=np.uint16)),
        "plain.bmp": Picture(noise(6, 5, 3)),
        "plain.webp": Picture(noise(6, 5, 3)),
    }
    for name, picture in kinds.items():
        (tmp_path / "in" / name).write_bytes(made(picture, Path(name).suffix))
    generator = Same()
    convert_all(tmp_path / "in", tmp_path / "out", translator(generator), batch_size=100)
    assert generator.seen == [(7, 3, 6, 5)]
    for name, picture in kinds.items():
        assert_same_picture(read(tmp_path / "out" / name), picture, atol=1e-6 if name == "float.tif" else 0)


@pytest.mark.parametrize("name", ["batch_size", "tile"])
def test_what_is_below_one_is_refused_before_anything_is_written(tmp_path, name):
    put(tmp_path / "in", "x.png")
    with pytest.raises(UsageError, match="0: it is 1 or more"):
        convert_all(tmp_path / "in", tmp_path / "out", **{name: 0})
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_skipped_unless_it_is_asked_for(tmp_path):
    put(tmp_path / "in", "1.png", "2.png", "a/3.png", level=9)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/2.png").write_bytes(b"there")
    generator = Same()
    result = convert_all(tmp_path / "in", tmp_path / "out", translator(generator))
    assert [job.source.name for job in result.skipped] == ["2.png"]
    assert [job.source.name for job in result.written] == ["1.png", "3.png"]
    assert len(generator.seen) == 2
    assert (tmp_path / "out/2.png").read_bytes() == b"there"
    result = convert_all(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert len(result.written) == 3
    assert not result.skipped
    assert (read(tmp_path / "out/2.png").levels == 9).all()


def test_a_link_in_place_of_an_output_is_replaced_and_what_it_leads_to_kept(tmp_path):
    put(tmp_path / "in", "1.png", level=9)
    (tmp_path / "out").mkdir()
    (tmp_path / "precious.png").write_bytes(b"precious")
    (tmp_path / "out/1.png").symlink_to(tmp_path / "precious.png")
    convert_all(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "precious.png").read_bytes() == b"precious"
    assert not (tmp_path / "out/1.png").is_symlink()
    assert (read(tmp_path / "out/1.png").levels == 9).all()


def test_a_failed_picture_is_named_and_the_others_are_done(tmp_path):
    for place in range(9):
        put(tmp_path / "in", f"{place}.png", level=place)
    (tmp_path / "in/4.png").write_bytes(b"no picture")
    (tmp_path / "in/6.png").write_bytes(b"")
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=4)
    assert result.failed == {
        tmp_path / "in/4.png": "not an image that can be read",
        tmp_path / "in/6.png": "an empty file",
    }
    assert files(tmp_path / "out") == [f"{place}.png" for place in (0, 1, 2, 3, 5, 7, 8)]


def test_one_picture_that_a_network_cannot_take_does_not_spoil_its_batch(tmp_path):
    (tmp_path / "in").mkdir()
    for name, channels in (("a", 3), ("b", 5), ("c", 3)):
        (tmp_path / "in" / f"{name}.npy").write_bytes(made(Picture(noise(6, 5, channels)), ".npy"))
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=3)
    assert [job.source.name for job in result.written] == ["a.npy", "c.npy"]
    (reason,) = result.failed.values()
    assert "a picture of 5 channels where 3 are needed" in reason


def test_what_an_output_has_no_place_for_is_named_with_what_to_type(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.npy").write_bytes(made(Picture(noise(6, 5, 5)), ".npy"))
    result = convert(plan(str(tmp_path / "in"), tmp_path / "out", suffix=".png"), same(5), progress=False)
    (reason,) = result.failed.values()
    assert reason.startswith(f"can't write {tmp_path / 'out' / 'a.png'}: 5 channels")
    assert "use --format tif or --format npy" in reason
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == []


def test_the_output_may_lie_in_the_input(tmp_path):
    put(tmp_path, "1.png", "a/2.png")
    for count in (2, 0):
        assert len(convert_all(tmp_path, tmp_path / "out").written) == count
    assert files(tmp_path / "out") == ["1.png", "a/2.png"]


ANIMATED = {"x.gif": "GIF", "x.webp": "WEBP", "x.png": "PNG", "x.tif": "TIFF"}


@pytest.mark.parametrize("name", ANIMATED)
def test_of_several_frames_the_first_is_translated_and_that_is_said(tmp_path, name):
    frames = [Image.new("RGB", (6, 5), (60 * n, 0, 0)) for n in range(1, 4)]
    options = {"lossless": True} if name == "x.webp" else {}
    put(tmp_path / "in", "still.png")
    frames[0].save(tmp_path / "in" / name, save_all=True, append_images=frames[1:], **options)
    result = convert_all(tmp_path / "in", tmp_path / "out")
    ((note, paths),) = result.notes.items()
    assert "first" in note
    assert paths == [tmp_path / "in" / name]
    written = read(tmp_path / "out" / ("x.png" if name == "x.gif" else name))
    assert (written.frames, written.levels[0, 0].tolist()) == (1, [60, 0, 0])


def test_seeds_reach_their_own_pictures(tmp_path):
    put(tmp_path / "in", "1.png", "2.png")
    generator = build_generator("unet:depth=2,width=4,norm=none,dropout=0,latent=2", in_channels=3, out_channels=3)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 10 if parameter.dim() > 1 else 1
    one = translator(generator)
    planned = variants(plan(str(tmp_path / "in"), tmp_path / "out"), 3)
    assert len(convert(planned, one, batch_size=4, progress=False).written) == 6
    alone = [read(job.target).levels.astype(int) - one(read(job.source), seed=job.seed).levels for job in planned]
    assert max(np.abs(apart).max() for apart in alone) <= 1


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A model that takes a while for a picture."""
    generator = build_generator("resnet:blocks=2,width=24", in_channels=3, out_channels=3)
    file = tmp_path_factory.mktemp("slow") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 256}, {}, 0))
    return file


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_conversion_leaves_whole_files_and_goes_on(tmp_path, slow, signum, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    for place in range(16):
        put(source, f"{place:02}.png", size=(256, 256), level=place)
    words = ["translate", str(source), str(out), "--model", str(slow), "--device", "cpu"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "i2i", *words], env=alone, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (out.is_dir() and len(files(out)) >= 2) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signum)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "i2i: interrupted; what is done is kept, and the same command again goes on"
    assert "Traceback" not in said
    there = files(out)
    assert 2 <= len(there) < 16
    before = {name: (out / name).read_bytes() for name in there}
    assert all(name.endswith(".png") and not name.startswith(".") for name in there)
    for name in there:
        assert read(out / name).levels.shape[:2] == (256, 256)

    assert main(words) == 0
    assert f"{len(there)} there already" in capsys.readouterr().out
    assert files(out) == files(source)
    assert all((out / name).read_bytes() == data for name, data in before.items())


def test_what_was_left_out_is_counted_in_the_summary(tmp_path, slow, capsys):
    put(tmp_path / "in", "1.png", ".hidden.png", ".cache/2.png", "a/.h.png")
    (tmp_path / "in/notes.txt").touch()
    (tmp_path / "in/link.png").symlink_to(tmp_path / "in/1.png")
    (tmp_path / "in/folder").symlink_to(tmp_path / "in/a", target_is_directory=True)
    assert main(["translate", str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(slow)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'out'}: 1 translated to b (")
    parts = {"3 hidden files left out", "2 symbolic links left out", "1 non-image left out"}
    assert set(line.split(", ")[1:]) == parts
    assert files(tmp_path / "out") == ["1.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_turned_picture_is_turned_once(tmp_path, suffix):
    tags = Image.Exif()
    tags[0x0112] = 6  # show it turned 90 degrees clockwise
    stored = np.repeat(np.repeat(np.array([[0, 100, 200], [50, 150, 250]], np.uint8), 16, 0), 16, 1)
    (tmp_path / "in").mkdir()
    lossless = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(stored).convert("RGB").save(tmp_path / f"in/x{suffix}", exif=tags, **lossless)
    convert_all(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / f"out/x{suffix}") as image:
        assert image.size == (32, 48)
        assert image.getexif().get(0x0112, 1) == 1
        seen = np.asarray(image.convert("L")).astype(int)
    assert np.abs(seen - np.rot90(stored, -1))[8::16, 8::16].max() <= 3
