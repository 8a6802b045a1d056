"""Which images a conversion reads, and which files it writes."""

from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.inference.planning import Job, left_out, plan, variants
from support.images import make_special, no_waiting, put


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
def test_the_output_inside_the_input_is_not_an_input(here, absolute):
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


def test_a_glob_may_begin_in_a_folder_with_the_name_of_a_glob(here):
    put(here, "set[x]/cats/1.png", "set[x]/cats/2.jpg", "setx/cats/3.png", "c*/d.png", "cd/d.png")
    assert jobs("set[x]", "out") == [("set[x]/cats/1.png", "out/cats/1.png"), ("set[x]/cats/2.jpg", "out/cats/2.jpg")]
    assert jobs("set[x]/*/*.png", "out") == [("set[x]/cats/1.png", "out/cats/1.png")]
    assert jobs(f"{here}/set[x]/**/*.jpg", "out") == [(f"{here}/set[x]/cats/2.jpg", "out/cats/2.jpg")]
    assert jobs("c*/*.png", "out") == [("c*/d.png", "out/d.png")]


def test_a_glob_of_one_image_may_go_to_a_file(here):
    put(here, "photos/1.png")
    assert jobs("photos/*.png", "out.png") == [("photos/1.png", "out.png")]


def test_the_output_inside_a_glob_is_not_an_input(here):
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


def test_a_variant_is_not_written_over_its_image(here):
    put(here, "photos/x-1.png")
    with pytest.raises(UsageError, match=r"x-1\.png would be written over itself; give another OUTPUT"):
        variants(plan("photos/x-1.png", Path("photos/x.png")), 2)


FORMATS = ["png", "jpg", "webp", "tif", "bmp", "npy"]


@pytest.mark.parametrize("suffix", [f".{name}" for name in FORMATS])
def test_a_format_is_that_of_every_file(here, suffix):
    put(here, "photos/1.png", "photos/a/2.jpg", "photos/3.gif")
    planned = plan("photos", Path("out"), suffix=suffix)
    assert [job.target.as_posix() for job in planned] == [f"out/{name}{suffix}" for name in ("1", "3", "a/2")]


def test_a_gif_becomes_a_png_as_gif_is_not_written(here):
    put(here, "photos/1.gif", "photos/2.GIF", "photos/3.jpg")
    assert [target for _, target in jobs("photos", "out")] == ["out/1.png", "out/2.png", "out/3.jpg"]


@pytest.mark.parametrize(
    ("names", "suffix"),
    [(("x.png", "x.jpg"), ".tif"), (("a/x.gif", "a/x.png"), None), (("x.jpeg", "x.jpg"), ".png")],
)
def test_two_images_that_would_become_one_file_are_refused_with_both_names(here, names, suffix):
    put(here, *(f"photos/{name}" for name in names))
    with pytest.raises(UsageError) as error:
        plan("photos", Path("out"), suffix=suffix)
    assert all(f"photos/{name}" in str(error.value) for name in names)
    assert "would both become out/" in str(error.value)
    # By their own names they stay apart, where those can be written.
    if suffix:
        assert len(plan("photos", Path("out"))) == 2


def test_variants_that_would_become_one_file_are_refused_with_both_names(here):
    first, second = Job(Path("a/x.png"), Path("out/x.png")), Job(Path("b/x.png"), Path("out/x.png"))
    with pytest.raises(UsageError, match=r"^a/x\.png and b/x\.png would both become out/x-0\.png; rename one of them$"):
        variants([first, second], 2)


def test_a_named_file_and_another_format_are_refused(here):
    put(here, "1.png")
    with pytest.raises(UsageError, match=r"out\.jpg ends in \.jpg; leave out format=png"):
        plan("1.png", Path("out.jpg"), suffix=".png")
    assert plan("1.png", Path("out.jpg"), suffix=".jpg") == [Job(Path("1.png"), Path("out.jpg"))]


def test_a_format_that_cannot_be_written_is_refused_by_its_name(here):
    put(here, "1.png")
    with pytest.raises(UsageError, match=r"out\.gif: can't write that format; use one of \.bmp"):
        plan("1.png", Path("out.gif"))


def test_links_are_not_inputs(here):
    put(here, "photos/1.png", "others/2.png")
    (here / "photos/link.png").symlink_to(here / "others/2.png")
    (here / "photos/folder").symlink_to(here / "others", target_is_directory=True)
    (here / "photos/loop").symlink_to(here / "photos", target_is_directory=True)
    (here / "photos/gone.png").symlink_to(here / "nowhere.png")
    assert [source for source, _ in jobs("photos", "out")] == ["photos/1.png"]
    assert [source for source, _ in jobs("photos/**/*.png", "out")] == ["photos/1.png"]
    # The one that was named is meant.
    assert jobs("photos/link.png", "out") == [("photos/link.png", "out/link.png")]
    (here / "linked").symlink_to(here / "others", target_is_directory=True)
    assert jobs("linked", "out") == [("linked/2.png", "out/2.png")]


def test_skipped_files_are_counted_by_kind(here):
    put(here, "photos/1.png", "photos/a/2.png", "photos/.h.png", "photos/.cache/3.png", "photos/a/.b/4.png")
    for name in ("notes.txt", "a/no_suffix", ".hidden.txt"):
        (here / "photos" / name).touch()
    (here / "photos/link.png").symlink_to(here / "photos/1.png")
    (here / "photos/folder").symlink_to(here / "photos/a", target_is_directory=True)
    (here / "photos/loop").symlink_to(here / "photos", target_is_directory=True)
    counts = {kind.split()[0].removesuffix("s"): count for kind, count in left_out("photos", Path("out")).items()}
    assert counts == {"symbolic": 3, "hidden": 4, "non-image": 2}
    for one in ("photos/1.png", "photos/*.png", "nowhere"):
        assert not left_out(one, Path("out"))


def test_what_lies_in_the_output_is_not_counted(here):
    put(here, "photos/1.png")
    (here / "photos/out/deep").mkdir(parents=True)
    (here / "photos/out/deep/notes.txt").touch()
    assert not left_out("photos", Path("photos/out"))
    assert sum(left_out("photos", Path("elsewhere")).values()) == 1


def test_special_files_are_neither_read_nor_waited_for(here):
    put(here, "photos/1.png")
    make_special(here / "photos")
    (here / "photos/odd.png").mkdir()
    with no_waiting():
        assert [source for source, _ in jobs("photos", "out")] == ["photos/1.png"]
        assert [source for source, _ in jobs("photos/*", "out")] == ["photos/1.png"]
        assert sum(left_out("photos", Path("out")).values()) == 2
        with pytest.raises(UsageError, match=r"pipe\.png"):
            plan("photos/pipe.png", Path("out"))


@pytest.mark.parametrize("outside", [True, False])
def test_a_link_in_the_output_may_not_lead_outside(here, outside):
    put(here, "photos/a/1.png", "photos/2.png")
    (here / "out").mkdir()
    (here / "elsewhere").mkdir()
    (here / "out/inside").mkdir()
    (here / "out/a").symlink_to(here / ("elsewhere" if outside else "out/inside"), target_is_directory=True)
    if outside:
        with pytest.raises(UsageError, match="out/a is a symbolic link that leads out of out"):
            plan("photos", Path("out"))
    else:
        assert len(plan("photos", Path("out"))) == 2


def test_the_output_itself_may_be_a_link(here):
    put(here, "photos/a/1.png")
    (here / "elsewhere").mkdir()
    (here / "out").symlink_to(here / "elsewhere", target_is_directory=True)
    assert jobs("photos", "out") == [("photos/a/1.png", "out/a/1.png")]
