"""Folders of images translated into folders of images."""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from i2i import Translator
from i2i.cli import main
from i2i.cli.commands.translate import _speed
from i2i.errors import UsageError
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.inference.contact_sheet import write_contact_sheet
from i2i.inference.folder import convert
from i2i.inference.planning import Job, plan, variants
from i2i.inference.record import RECORD
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
from support.images import Same, assert_same_image, made, noise, put, same, translator


def done(root, count, size=(4, 4)):
    """Jobs whose input is grey 10, 20, ... and whose output is a level higher."""
    for i in range(count):
        put(root / "in", f"{i}.png", level=10 * (i + 1), size=size)
        put(root / "out", f"{i}.png", level=10 * (i + 1) + 1, size=size)
    return [Job(root / "in" / f"{i}.png", root / "out" / f"{i}.png") for i in range(count)]


def shown(path, *, columns):
    """The levels of the images of a sheet of squares, row by row."""
    pixels = read(path).pixels
    rows = (pixels.shape[0] - 22 - 4) // 260
    assert pixels.shape == (22 + 4 + 260 * rows, 4 + 260 * columns, 3)
    middles = pixels[22 + 4 + 128 :: 260, 4 + 128 :: 260]
    return [[int(pixel[0]) for pixel in row] for row in middles]


def test_a_contact_sheet_shows_pairs_three_in_a_row(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 4), domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 20, 21, 30, 31], [40, 41] + [255] * 4]


def test_a_small_contact_sheet_is_narrow(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 1), domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=2) == [[10, 11]]


def test_a_contact_sheet_chooses_evenly(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done(tmp_path, 8), domains=("map", "sat"), max_inputs=4)
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
    # As many inputs in a row as six images hold, one at least.
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
    words = [read(tmp_path / "sheet.png").pixels[:22, 4 + 260 * i : 260 * (i + 1)] for i in range(6)]
    a, b = words[0].tobytes(), words[1].tobytes()
    assert [word.tobytes() for word in words] == [a, b, b, a, b, b]
    assert a != b
    assert min(word.min() for word in words) < 100


def test_a_contact_sheet_counts_inputs_not_outputs(tmp_path):
    write_contact_sheet(tmp_path / "sheet.png", done_variants(tmp_path, 8, 2), domains=("map", "sat"), max_inputs=4)
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 12, 30, 31, 32], [50, 51, 52, 70, 71, 72]]


def test_a_damaged_output_leaves_its_input_out(tmp_path):
    jobs_done = done_variants(tmp_path, 3, 2)
    (tmp_path / "out/01-1.png").write_bytes(b"no image")
    write_contact_sheet(tmp_path / "sheet.png", jobs_done, domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 12, 30, 31, 32]]


def test_where_outputs_are_missing_each_stands_beside_its_input(tmp_path):
    jobs_done = done_variants(tmp_path, 2, 2)
    write_contact_sheet(tmp_path / "sheet.png", [jobs_done[0], *jobs_done[2:]], domains=("map", "sat"))
    assert shown(tmp_path / "sheet.png", columns=6) == [[10, 11, 255, 20, 21, 22]]


def files(folder):
    """All that lies in a folder but the record, by its path there; other hidden files too."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name != RECORD)


def convert_all(source, out, translate=None, **options):
    return convert(plan(str(source), out), translate or same(), progress=False, **options)


def test_images_of_one_size_go_together_wherever_they_stand(tmp_path):
    sizes = {"a": (4, 6), "b": (5, 5), "c": (4, 6), "d": (5, 5), "e": (4, 6), "f": (4, 6), "g": (7, 7)}
    for index, (name, size) in enumerate(sizes.items()):
        put(tmp_path / "in", f"{name}.png", size=size, level=10 * index)
    generator = Same()
    result = convert_all(tmp_path / "in", tmp_path / "out", translator(generator), batch_size=3)
    assert sorted(shape[0] for shape in generator.seen) == [1, 1, 2, 3]
    assert {shape[2:] for shape in generator.seen if shape[0] == 3} == {(6, 4)}
    # In the order of the jobs, each in its own file.
    assert [job.source.name for job in result.written] == [f"{name}.png" for name in sizes]
    for index, (name, size) in enumerate(sizes.items()):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert (image.size, image.getpixel((0, 0))) == (size, 10 * index)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 100])
@pytest.mark.parametrize("tile", [None, 3])
def test_every_image_is_done_whatever_the_batch(tmp_path, batch_size, tile):
    for index in range(7):
        put(tmp_path / "in", f"{index}.png", size=(5, 4 + index % 2), level=30 * index)
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=batch_size, tile=tile)
    assert [job.target.name for job in result.written] == [f"{index}.png" for index in range(7)]
    assert [int(read(job.target).pixels.max()) for job in result.written] == [30 * index for index in range(7)]
    for nothing in (result.failed, result.skipped, result.undone, result.notes):
        assert not nothing


def test_of_a_mixed_batch_each_image_keeps_its_kind(tmp_path):
    (tmp_path / "in").mkdir()
    kinds = {
        "grey.png": DecodedImage(noise(6, 5, 1)),
        "alpha.png": DecodedImage(noise(6, 5, 3), noise(6, 5, seed=1)),
        "deep.png": DecodedImage(noise(6, 5, 3, dtype=np.uint16)),
        "float.tif": DecodedImage(noise(6, 5, 3, dtype=np.float32)),
        "array.npy": DecodedImage(noise(6, 5, 3, dtype=np.uint16)),
        "plain.bmp": DecodedImage(noise(6, 5, 3)),
        "plain.webp": DecodedImage(noise(6, 5, 3)),
    }
    for name, image in kinds.items():
        (tmp_path / "in" / name).write_bytes(made(image, Path(name).suffix))
    generator = Same()
    convert_all(tmp_path / "in", tmp_path / "out", translator(generator), batch_size=100)
    assert generator.seen == [(7, 3, 6, 5)]
    for name, image in kinds.items():
        assert_same_image(read(tmp_path / "out" / name), image, atol=1e-6 if name == "float.tif" else 0)


@pytest.mark.parametrize("name", ["batch_size", "tile"])
def test_batch_size_and_tile_below_one_are_refused_before_anything_is_written(tmp_path, name):
    put(tmp_path / "in", "x.png")
    with pytest.raises(UsageError, match="0: it must be 1 or more"):
        convert_all(tmp_path / "in", tmp_path / "out", **{name: 0})
    assert not (tmp_path / "out").exists()


def test_existing_outputs_are_skipped_unless_overwrite(tmp_path):
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
    assert (read(tmp_path / "out/2.png").pixels == 9).all()


def test_a_link_in_place_of_an_output_is_replaced_and_what_it_leads_to_kept(tmp_path):
    put(tmp_path / "in", "1.png", level=9)
    (tmp_path / "out").mkdir()
    (tmp_path / "precious.png").write_bytes(b"precious")
    (tmp_path / "out/1.png").symlink_to(tmp_path / "precious.png")
    convert_all(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "precious.png").read_bytes() == b"precious"
    assert not (tmp_path / "out/1.png").is_symlink()
    assert (read(tmp_path / "out/1.png").pixels == 9).all()


def test_a_failed_image_is_named_and_the_others_are_done(tmp_path):
    for index in range(9):
        put(tmp_path / "in", f"{index}.png", level=index)
    (tmp_path / "in/4.png").write_bytes(b"no image")
    (tmp_path / "in/6.png").write_bytes(b"")
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=4)
    assert result.failed == {
        tmp_path / "in/4.png": "not an image that can be read: text",
        tmp_path / "in/6.png": "an empty file",
    }
    assert files(tmp_path / "out") == [f"{index}.png" for index in (0, 1, 2, 3, 5, 7, 8)]


def test_one_image_that_a_network_cannot_take_does_not_spoil_its_batch(tmp_path):
    (tmp_path / "in").mkdir()
    for name, channels in (("a", 3), ("b", 5), ("c", 3)):
        (tmp_path / "in" / f"{name}.npy").write_bytes(made(DecodedImage(noise(6, 5, channels)), ".npy"))
    result = convert_all(tmp_path / "in", tmp_path / "out", batch_size=3)
    assert [job.source.name for job in result.written] == ["a.npy", "c.npy"]
    (reason,) = result.failed.values()
    assert "an image of 5 channels where 3 are needed" in reason


def test_an_image_that_its_format_cannot_hold_is_named_with_a_remedy(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.npy").write_bytes(made(DecodedImage(noise(6, 5, 5)), ".npy"))
    result = convert(plan(str(tmp_path / "in"), tmp_path / "out", suffix=".png"), same(5), progress=False)
    (reason,) = result.failed.values()
    assert reason.startswith(f"can't write {tmp_path / 'out' / 'a.png'}: 5 channels")
    assert "use .tif or .npy" in reason
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == []


def test_the_output_may_lie_in_the_input(tmp_path):
    put(tmp_path, "1.png", "a/2.png")
    for count in (2, 0):
        assert len(convert_all(tmp_path, tmp_path / "out").written) == count
    assert files(tmp_path / "out") == ["1.png", "a/2.png"]


ANIMATED = {"x.gif": "GIF", "x.webp": "WEBP", "x.png": "PNG", "x.tif": "TIFF"}


@pytest.mark.parametrize("name", ANIMATED)
def test_the_first_of_several_frames_is_translated_with_a_note(tmp_path, name):
    frames = [Image.new("RGB", (6, 5), (60 * n, 0, 0)) for n in range(1, 4)]
    options = {"lossless": True} if name == "x.webp" else {}
    put(tmp_path / "in", "still.png")
    frames[0].save(tmp_path / "in" / name, save_all=True, append_images=frames[1:], **options)
    result = convert_all(tmp_path / "in", tmp_path / "out")
    ((note, paths),) = result.notes.items()
    assert "first" in note
    assert paths == [tmp_path / "in" / name]
    written = read(tmp_path / "out" / ("x.png" if name == "x.gif" else name))
    assert (written.frames, written.pixels[0, 0].tolist()) == (1, [60, 0, 0])


def test_seeds_reach_their_own_images(tmp_path):
    put(tmp_path / "in", "1.png", "2.png")
    generator = build_generator("unet:depth=2,width=4,norm=none,dropout=0,latent=2", in_channels=3, out_channels=3)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 10 if parameter.dim() > 1 else 1
    one = translator(generator)
    planned = variants(plan(str(tmp_path / "in"), tmp_path / "out"), 3)
    assert len(convert(planned, one, batch_size=4, progress=False).written) == 6
    alone = [read(job.target).pixels.astype(int) - one(read(job.source), seed=job.seed).pixels for job in planned]
    assert max(np.abs(apart).max() for apart in alone) <= 1


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A model that takes a while for an image."""
    generator = build_generator("resnet:blocks=2,width=16", in_channels=3, out_channels=3)
    file = tmp_path_factory.mktemp("slow") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 256}, {}, 0))
    return file


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_conversion_leaves_whole_files_and_can_be_continued(tmp_path, slow, signum, capsys, forks):
    source, out = tmp_path / "in", tmp_path / "out"
    for index in range(10):
        put(source, f"{index:02}.png", size=(256, 256), level=index)
    words = ["translate", str(source), str(out), "--model", str(slow), "--device", "cpu", "--batch-size", "1"]
    process = forks.start(words)
    wait_until(lambda: out.is_dir() and len(files(out)) >= 2)
    os.kill(process.pid, signum)
    code, _, said = process.wait()
    assert code == 130
    assert said.splitlines()[-1] == "i2i: interrupted: finished images are saved. Resume with the same command"
    assert "Traceback" not in said
    there = files(out)
    assert 2 <= len(there) < 10
    before = {name: (out / name).read_bytes() for name in there}
    assert all(name.endswith(".png") and not name.startswith(".") for name in there)
    for name in there:
        assert read(out / name).pixels.shape[:2] == (256, 256)

    assert main(words) == 0
    assert f"{len(there)} there already" in capsys.readouterr().out
    assert files(out) == files(source)
    assert all((out / name).read_bytes() == data for name, data in before.items())


def test_skipped_files_are_counted_in_the_summary(tmp_path, slow, capsys):
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
def test_a_turned_image_is_turned_once(tmp_path, suffix):
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


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another model, to the same domain."""
    generator = build_generator("resnet:blocks=1,width=4", in_channels=3, out_channels=3)
    file = tmp_path_factory.mktemp("other") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 32}, {}, 0))
    return file


@pytest.fixture
def translate(tmp_path, other, capsys):
    """`i2i translate IN OUT` with more words: its exit code, and what it says."""
    source, out = tmp_path / "in", tmp_path / "out"
    put(source, "1.png", "a/2.png", "3.jpg", size=(16, 16), level=9)

    def run(*words, source=source, out=out, model=other):
        code = main(["translate", str(source), str(out), "--model", str(model), "--device", "cpu", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    run.source, run.out, run.model = source, out, other
    return run


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_outputs_of_another_model_are_refused_unless_overwrite(translate, slow):
    assert translate()[0] == 0
    before = contents(translate.out)
    code, said = translate(model=slow)
    assert code == 2
    assert f"{translate.out} holds 3 made by another model ({translate.model} to b): add --overwrite" in said
    assert contents(translate.out) == before
    code, said = translate("--overwrite", model=slow)
    assert (code, "3 translated to b" in said) == (0, True)
    assert all(contents(translate.out)[name] != data for name, data in before.items())
    # They are that model's now.
    assert translate(model=slow)[0] == 0
    assert translate()[0] == 2


def test_results_of_a_run_before_more_training_are_refused(translate, slow, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(translate.model, run / "model.safetensors")
    assert translate(model=run)[0] == 0
    shutil.copy(slow, run / "model.safetensors")
    code, said = translate("--contact-sheet", tmp_path / "sheet.png", model=run)
    assert code == 2
    assert f"3 made by {run} with other weights, such as before more training: add --overwrite" in said
    assert not (tmp_path / "sheet.png").exists()


def test_the_weights_count_not_the_name_of_their_file(translate, tmp_path):
    assert translate()[0] == 0
    shutil.copy(translate.model, tmp_path / "copy.safetensors")
    code, said = translate(model=tmp_path / "copy.safetensors")
    assert (code, "3 there already (--overwrite" in said) == (0, True)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["--tile", "8"], [], "3 made with --tile 8"),
        ([], ["--tile", "8"], "3 made without --tile"),
        (["--quality", "50"], [], "1 made with --quality 50"),
    ],
)
def test_outputs_of_other_options_are_refused(translate, before, after, said):
    assert translate(*before)[0] == 0
    assert translate(*before)[0] == 0
    code, told = translate(*after)
    assert code == 2
    assert said in told


def test_more_samples_resume_a_conversion_and_another_seed_is_refused(tmp_path):
    put(tmp_path / "in", "1.png")
    generator = build_generator("unet:depth=2,width=4,norm=none,dropout=0,latent=2", in_channels=3, out_channels=3)
    one, out = translator(generator), tmp_path / "out"
    jobs = plan(str(tmp_path / "in"), out)
    for samples, written in ((2, 2), (3, 1)):
        assert len(convert(variants(jobs, samples), one, record=out, progress=False).written) == written
    assert len(convert(jobs, one, record=out, progress=False).written) == 1
    # Without a seed it is that of seed 0.
    assert len(convert([jobs[0]._replace(seed=0)], one, record=out, progress=False).skipped) == 1
    with pytest.raises(UsageError, match="1 made with seed=0"):
        convert([jobs[0]._replace(seed=4)], one, record=out, progress=False)


def test_an_input_that_has_changed_is_translated_again(translate):
    assert translate()[0] == 0
    before = contents(translate.out)
    put(translate.source, "1.png", size=(16, 16), level=200)
    code, said = translate()
    assert code == 0
    assert "1 translated to b" in said
    assert "1 of them again, as the input has changed, 2 there already (--overwrite" in said
    after = contents(translate.out)
    assert [name for name in before if after[name] != before[name]] == ["1.png"]
    assert "3 there already" in translate()[1]


def test_inputs_that_were_moved_are_the_same_ones(translate, tmp_path):
    assert translate()[0] == 0
    translate.source.rename(tmp_path / "moved")
    assert "3 there already (" in translate(source=tmp_path / "moved")[1]


def test_other_images_of_the_same_names_are_refused(translate, tmp_path):
    assert translate()[0] == 0
    put(tmp_path / "more", "1.png", size=(20, 20))
    code, said = translate(source=tmp_path / "more")
    assert code == 2
    assert "holds 1 made from another image of that name: add --overwrite to translate it again" in said


def test_outputs_of_unknown_origin_or_changed_since_are_kept_and_reported(translate):
    put(translate.out, "1.png", level=77)
    assert translate()[0] == 0
    put(translate.out, "a/2.png", level=78)
    code, said = translate()
    assert code == 0
    assert "0 translated to b, 3 there already, 2 of them by an unknown model (--overwrite" in said
    assert [read(translate.out / name).pixels.max() for name in ("1.png", "a/2.png")] == [77, 78]


def test_a_torn_or_damaged_record_is_read_where_possible(translate):
    assert translate()[0] == 0
    path = translate.out / RECORD
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b'{"key": 4}\nnull\n[1]\n\xff\n{"file": "1.png"}\n' + b"".join(lines)[:-20])
    code, said = translate()
    assert (code, "1 of them by an unknown model" in said) == (0, True)
    # What is added below a torn line is read again.
    (translate.out / "1.png").unlink()
    assert "1 translated" in translate()[1]
    assert "3 there already, 1 of them by an unknown model" in translate()[1]


def test_a_record_does_not_grow_with_every_conversion(tmp_path):
    put(tmp_path / "in", *(f"{index}.png" for index in range(30)))
    out, sizes = tmp_path / "out", []
    for _ in range(7):
        result = convert_all(tmp_path / "in", out, record=out, overwrite=True)
        assert len(result.written) == 30
        sizes.append(len((out / RECORD).read_bytes().splitlines()))
    assert max(sizes) < 30 * 7
    assert sizes[-1] < max(sizes)
    assert len(convert_all(tmp_path / "in", out, record=out).skipped) == 30
    assert not convert_all(tmp_path / "in", out, record=out).unknown


def test_a_conversion_in_place_is_resumed_by_the_same_command(translate):
    words = {"source": translate.source, "out": translate.source}
    assert "would be written over itself" in translate("--format", "png", **words)[1]
    for path in (translate.source / "1.png", translate.source / "a/2.png"):
        path.rename(path.with_suffix(".bmp"))
    before = contents(translate.source)
    assert translate("--format", "png", **words)[0] == 0
    assert files(translate.source) == ["1.bmp", "1.png", "3.jpg", "3.png", "a/2.bmp", "a/2.png"]
    (translate.source / "3.png").unlink()
    code, said = translate("--format", "png", **words)
    assert code == 0
    assert "1 translated to b" in said
    assert "2 there already (--overwrite" in said
    assert "left out" not in said
    assert translate("--format", "png", "--overwrite", **words)[0] == 0
    assert {name: data for name, data in contents(translate.source).items() if name in before} == before


def test_an_image_that_came_to_a_folder_converted_in_place_is_not_taken_for_an_output(translate):
    words = {"source": translate.source / "a", "out": translate.source / "a"}
    put(translate.source, "a/x.bmp", "a/y.bmp", size=(16, 16))
    (translate.source / "a/2.png").unlink()
    assert translate("--format", "png", **words)[0] == 0
    put(translate.source, "a/x.png", size=(16, 16), level=77)
    code, said = translate("--format", "png", **words)
    assert code == 2
    assert "x.png would be written over itself" in said
    assert read(translate.source / "a/x.png").pixels.max() == 77


@pytest.mark.parametrize(
    "sheet", ["in/1.png", "in/a/../1.png", "link.png", "in/a/2.png", "out/1.png", "out/a/2.png", "in/a/sheet.png"]
)
def test_a_contact_sheet_lands_on_no_input_and_no_output(translate, tmp_path, sheet):
    (tmp_path / "link.png").symlink_to(translate.source / "1.png")
    before = contents(translate.source)
    code, said = translate("--contact-sheet", tmp_path / sheet)
    assert code == 2
    assert "give another --contact-sheet" in said
    assert contents(translate.source) == before
    assert not translate.out.exists()


def test_a_contact_sheet_beside_the_outputs_lets_the_command_be_continued(translate):
    out = translate.source / "out"
    for done in ("3 translated", "3 there already"):
        code, said = translate("--contact-sheet", out / "sheet.png", out=out)
        assert (code, done in said) == (0, True)
    code, said = translate("--format", "bmp", "--contact-sheet", translate.source / "sheet.png", out=translate.source)
    assert (code, "lies in INPUT" in said) == (2, True)
    assert not (translate.source / "3.bmp").exists()


def test_an_output_that_is_another_input_by_a_link_is_refused(translate, tmp_path):
    translate.out.mkdir()
    os.link(translate.source / "3.jpg", translate.out / "1.png")
    code, said = translate("--overwrite")
    assert code == 2
    assert f"OUTPUT would overwrite the input {translate.source / '3.jpg'}, the same file as" in said


def test_an_output_is_not_written_over_the_model(translate, tmp_path):
    model = tmp_path / "out/1.png"
    model.parent.mkdir()
    shutil.copy(translate.model, model)
    code, said = translate("--overwrite", model=model)
    assert code == 2
    assert "would overwrite the input" in said
    assert model.read_bytes() == translate.model.read_bytes()


def test_images_of_formats_that_are_not_read_are_named(translate):
    for name in ("1.heic", "a/2.HEIC", "a/3.heic", "a/4.heic", "5.avif", "6.cr2", "notes.txt"):
        (translate.source / name).touch()
    code, said = translate()
    assert code == 1
    heic = ", ".join(str(translate.source / name) for name in ("1.heic", "a/2.HEIC", "a/3.heic"))
    assert f"i2i: {heic}, and 1 more: HEIC images can't be read; convert them to PNG, TIFF or JPEG first\n" in said
    assert f"i2i: {translate.source / '5.avif'}: AVIF images can't be read" in said
    assert "3 translated to b" in said
    assert "6 failed, 1 non-image left out" in said
    # A glob speaks of what it matches.
    assert "failed" not in translate(source=translate.source / "*.png")[1]
    assert "2 failed" in translate(source=f"{translate.source}/[15].*")[1]


def test_a_single_image_of_a_format_that_is_not_read_is_refused(translate):
    (translate.source / "1.heic").touch()
    code, said = translate(source=translate.source / "1.heic")
    assert (code, "1.heic: HEIC images can't be read" in said) == (2, True)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.5, "4.0 images/s"), (2, "1.0 images/s"), (25, "12.5 seconds per image")]
)
def test_the_unit_of_the_speed_suits_it(seconds, said):
    assert _speed(2, seconds) == said


class Panic(BaseException):
    """What a decoder in another language may raise."""


ERRORS = [MemoryError(), RecursionError("too deep"), Panic("a bug"), SystemExit(3), OSError(5, "I/O error")]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_any_type_in_a_decoder_does_not_stop_other_images(tmp_path, monkeypatch, error):
    put(tmp_path / "in", *(f"{index}.png" for index in range(9)))
    (tmp_path / "in/4.png").write_bytes(made(DecodedImage(noise(33, 31, 1)), ".png"))
    decode = ImageFile.ImageFile.load

    def load(image):
        if image.size == (31, 33):
            raise error
        return decode(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    result = convert_all(tmp_path / "in", tmp_path / "out")
    assert len(result.written) == 8
    assert list(result.failed) == [tmp_path / "in/4.png"]


def test_removing_the_output_folder_stops_the_conversion_with_one_message(tmp_path):
    class Removing(Same):
        def forward(self, x):
            if len(self.seen) == 3:  # at once: files that are being written would keep a folder from being removed
                (tmp_path / "out").rename(tmp_path / "removed")
            return super().forward(x)

    put(tmp_path / "in", *(f"{index}.png" for index in range(30)))
    out = tmp_path / "out"
    result = convert_all(tmp_path / "in", out, translator(Removing()), record=out, batch_size=1)
    assert result.stopped.endswith("was removed or replaced in the meantime")
    assert len(result.written) + len(result.undone) == 30
    assert not result.failed
    assert not out.exists() or files(out) == []


def test_a_conversion_killed_repeatedly_ends_like_an_uninterrupted_one(tmp_path, other, forks):
    source, out, rng = tmp_path / "in", tmp_path / "out", np.random.default_rng(0)
    (source / "a").mkdir(parents=True)
    for index in range(40):
        path = source / f"{'a/' * (index % 2)}{index:02}.png"
        path.write_bytes(made(DecodedImage(noise(64, 64, 3, seed=index)), ".png"))
    words = [str(source), str(out), "--model", str(other), "--device", "cpu", "--batch-size", "1", "--quiet"]
    for count in (0, 5, 20):
        process = forks.start(["translate", *words])
        wait_until(lambda count=count: out.is_dir() and len(files(out)) >= count)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait().code == -signal.SIGKILL, "it ended before it was killed"
        for path in out.rglob("*.png"):
            assert path.name.startswith(".i2i-") or read(path).pixels.shape == (64, 64, 3)
    assert main(["translate", *words]) == 0
    assert files(out) == files(source)
    result = convert(plan(str(source), out), Translator.load(other, device="cpu"), record=out, progress=False)
    assert (len(result.skipped), len(result.unknown)) == (40, 0)
