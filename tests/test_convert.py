from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.convert import write_contact_sheet
from i2i.errors import UsageError
from i2i.jobs import Job, plan, variants
from i2i.picture import read


def put(root, *names, level=0, size=(4, 4)):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, level).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(source, output):
    return [(job.source.as_posix(), job.target.as_posix()) for job in plan(source, Path(output))]


def test_an_image_goes_to_a_file_or_into_a_folder(here):
    put(here, "photos/1.png")
    assert jobs("photos/1.png", "out.jpg") == [("photos/1.png", "out.jpg")]
    assert jobs("photos/1.png", "out") == [("photos/1.png", "out/1.png")]
    (here / "odd.png").mkdir()
    assert jobs("photos/1.png", "odd.png") == [("photos/1.png", "odd.png/1.png")]


def test_an_image_may_replace_another(here):
    put(here, "1.png", "2.png")
    assert jobs("1.png", "2.png") == [("1.png", "2.png")]


def test_an_image_may_have_the_name_of_a_glob(here):
    put(here, "[1].png", "1.png")
    assert jobs("[1].png", "out") == [("[1].png", "out/[1].png")]


def test_a_job_is_paths(here):
    put(here, "1.png")
    assert plan("1.png", Path("out")) == [Job(Path("1.png"), Path("out/1.png"))]


def test_a_folder_keeps_its_sub_folders_and_names(here):
    put(here, "photos/2.JPG", "photos/1.png", "photos/a/b/1.png", "photos/.hidden.png")
    (here / "photos/notes.txt").touch()
    expected = [(f"photos/{name}", f"out/{name}") for name in ("1.png", "2.JPG", "a/b/1.png")]
    assert jobs("photos", "out") == expected
    assert jobs("photos/", "./out/") == expected


def test_a_folder_of_one_image_may_go_to_a_file(here):
    put(here, "photos/1.png")
    assert jobs("photos", "out.webp") == [("photos/1.png", "out.webp")]


@pytest.mark.parametrize("absolute", [False, True])
def test_the_output_inside_the_input_is_no_input(here, absolute):
    put(here, "photos/1.png", "photos/out/1.png", "photos/out/a/2.png", "photos/outside/3.png")
    output = here / "photos/out" if absolute else Path("photos/out")
    sources = [job.source.as_posix() for job in plan("photos", output)]
    assert sources == ["photos/1.png", "photos/outside/3.png"]


@pytest.mark.parametrize("output", [".", "photos"])
def test_the_input_may_lie_inside_the_output(here, output):
    put(here, "photos/new/1.png")
    assert jobs("photos/new", output) == [("photos/new/1.png", Path(output, "1.png").as_posix())]


def test_a_glob_keeps_what_lies_below_its_plain_part(here):
    put(here, "photos/1.png", "photos/a/2.png", "photos/a/b/3.jpg", "photos/b/4.png")
    (here / "photos/1.txt").touch()
    assert jobs("photos/*", "out") == [("photos/1.png", "out/1.png")]
    assert jobs("photos/*/?.png", "out") == [("photos/a/2.png", "out/a/2.png"), ("photos/b/4.png", "out/b/4.png")]
    assert jobs("photos/**/*.jpg", "out") == [("photos/a/b/3.jpg", "out/a/b/3.jpg")]
    assert jobs("phot*/[ab]/*.png", "out") == [
        ("photos/a/2.png", "out/photos/a/2.png"),
        ("photos/b/4.png", "out/photos/b/4.png"),
    ]
    assert jobs(f"{here}/photos/*.png", "out") == [(f"{here}/photos/1.png", "out/1.png")]


def test_a_glob_of_one_image_may_go_to_a_file(here):
    put(here, "photos/1.png")
    assert jobs("photos/*.png", "out.png") == [("photos/1.png", "out.png")]


def test_the_output_inside_a_glob_is_no_input(here):
    put(here, "photos/1.png", "photos/out/1.png")
    assert jobs("photos/**/*.png", "photos/out") == [("photos/1.png", "photos/out/1.png")]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("photos/1.png", "photos/1.png"),
        ("photos/1.png", "photos"),
        ("photos/1.png", "photos/a/../1.png"),
        ("photos/*.png", "photos"),
        ("photos", "photos"),
        ("photos", "photos/a/.."),
        ("photos", "{here}/photos"),
    ],
)
def test_nothing_is_written_over_itself(here, source, output):
    put(here, "photos/1.png", "photos/a/2.png")
    with pytest.raises(UsageError, match=r"1\.png would be written over itself; give another OUTPUT"):
        plan(source, Path(output.format(here=here)))


def test_one_file_for_many_is_refused(here):
    put(here, "photos/1.png", "photos/2.png")
    for source in ("photos", "photos/*.png"):
        with pytest.raises(UsageError, match=r"out\.png is one file, but .* holds 2 images; give a folder"):
            plan(source, Path("out.png"))


def test_a_file_where_a_folder_is_needed_is_refused(here):
    put(here, "photos/1.png")
    (here / "notes").touch()
    with pytest.raises(UsageError, match="notes is a file; give a folder"):
        plan("photos", Path("notes"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere: there is no such image or folder"),
        ("nowhere.png", r"nowhere\.png: there is no such image or folder"),
        ("notes.txt", r"notes\.txt: not an image; images end in \.bmp"),
        ("empty", r"empty: no images there; images end in \.bmp"),
        ("*.png", r"\*\.png: no images there"),
        ("nowhere/*.png", r"nowhere/\*\.png: no images there"),
        ("*.txt", r"\*\.txt: no images there"),
    ],
)
def test_nothing_to_translate_is_an_error(here, source, message):
    (here / "empty").mkdir()
    (here / "notes.txt").touch()
    with pytest.raises(UsageError, match=f"^{message}"):
        plan(source, Path("out"))


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


def test_variants_are_numbered_before_the_suffix_and_seeded_in_turn(here):
    put(here, "photos/a/1.png", "photos/x.y.jpg")
    found = variants(plan("photos", Path("out")), 3, seed=7)
    assert [(job.source.as_posix(), job.target.as_posix(), job.seed) for job in found] == [
        ("photos/a/1.png", "out/a/1-7.png", 7),
        ("photos/a/1.png", "out/a/1-8.png", 8),
        ("photos/a/1.png", "out/a/1-9.png", 9),
        ("photos/x.y.jpg", "out/x.y-7.jpg", 7),
        ("photos/x.y.jpg", "out/x.y-8.jpg", 8),
        ("photos/x.y.jpg", "out/x.y-9.jpg", 9),
    ]


def test_variants_of_a_single_file(here):
    put(here, "1.png")
    found = variants(plan("1.png", Path("out.webp")), 2)
    assert [(job.target.as_posix(), job.seed) for job in found] == [("out-0.webp", 0), ("out-1.webp", 1)]
    assert [job.target.as_posix() for job in variants(plan("1.png", Path("out.webp")), 1)] == ["out-0.webp"]


def test_without_variants_a_job_has_no_seed(here):
    put(here, "1.png")
    assert [job.seed for job in plan("1.png", Path("out"))] == [None]


def test_no_two_variants_share_a_file(here):
    put(here, "photos/1.png", "photos/1-1.png", "photos/1-2.png", "photos/1.jpg")
    targets = [job.target for job in variants(plan("photos", Path("out")), 12)]
    assert len(set(targets)) == 48


def test_a_variant_is_not_written_over_its_picture(here):
    put(here, "photos/x-1.png")
    with pytest.raises(UsageError, match=r"x-1\.png would be written over itself; give another OUTPUT"):
        variants(plan("photos/x-1.png", Path("photos/x.png")), 2)


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
