from __future__ import annotations

import pytest

from i2i.data import find_layout
from i2i.data.folders import UnknownLayoutError
from i2i.data.layout import Source
from i2i.errors import UsageError
from support.folders import find, named, put


@pytest.mark.parametrize(
    ("within", "held_out", "data"),
    [("train/", "val", "paired"), ("train/", "test", "unpaired"), ("", "test", "paired"), ("", "val", "unpaired")],
)
def test_side_by_side(tmp_path, within, held_out, data):
    put(tmp_path, f"{within}2.jpg", f"{within}1.png", f"{within}sub/3.png", f"{held_out}/9.png")
    layout = find(tmp_path, data=data)
    files = [tmp_path / within / name for name in ("1.png", "2.jpg", "sub/3.png")]
    assert layout.domains == ("A", "B")
    assert layout.train.a == tuple(Source(path, "left") for path in files)
    assert layout.train.b == tuple(Source(path, "right") for path in files)
    assert layout.validation.a == (Source(tmp_path / held_out / "9.png", "left"),)
    assert layout.validation.b == (Source(tmp_path / held_out / "9.png", "right"),)
    assert layout.matched == "halves"
    assert layout.description == f"input A = left half, target B = right half of {tmp_path}/{within}* (3 pairs)"
    assert layout.describe(layout.validation).endswith(f"right half of {tmp_path}/{held_out}/*.png (1 pair)")


@pytest.mark.parametrize("within", ["train/", ""])
def test_side_by_side_with_nothing_held_out(tmp_path, within):
    put(tmp_path, f"{within}1.png")
    assert find(tmp_path).validation is None


@pytest.mark.parametrize("within", ["train/", ""])
def test_val_goes_before_test_and_neither_is_trained_on(tmp_path, within):
    put(tmp_path, f"{within}1.png", "val/2.png", "test/3.png")
    layout = find(tmp_path)
    assert named(tmp_path, layout.train) == ([f"{within}1.png"],) * 2
    assert named(tmp_path, layout.validation) == (["val/2.png"],) * 2


@pytest.mark.parametrize("names", [("A", "B"), ("a", "b"), ("map", "sat")])
def test_two_folders_give_their_names_to_the_domains(tmp_path, names):
    one, two = names
    put(tmp_path, f"{one}/1.jpg", f"{one}/2.png", f"{two}/2.webp", f"{two}/1.png", size=(4, 4))
    layout = find(tmp_path)
    assert layout.domains == names
    assert named(tmp_path, layout.train) == ([f"{one}/1.jpg", f"{one}/2.png"], [f"{two}/1.png", f"{two}/2.webp"])
    assert {source.half for source in layout.train.a + layout.train.b} == {"whole"}
    assert layout.validation is None


def test_hidden_and_empty_folders_are_ignored(tmp_path):
    put(tmp_path, "map/1.png", "sat/1.png", ".cache/1.png")
    (tmp_path / "notes").mkdir()
    assert find(tmp_path).domains == ("map", "sat")


@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("names", [("A", "B"), ("map", "sat")])
def test_two_folders_split_within(tmp_path, names, held_out):
    one, two = names
    put(tmp_path, f"{one}/train/1.png", f"{two}/train/1.png", f"{one}/{held_out}/2.png", f"{two}/{held_out}/2.png")
    layout = find(tmp_path)
    assert layout.domains == names
    assert named(tmp_path, layout.train) == ([f"{one}/train/1.png"], [f"{two}/train/1.png"])
    assert named(tmp_path, layout.validation) == ([f"{one}/{held_out}/2.png"], [f"{two}/{held_out}/2.png"])


@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("names", [("A", "B"), ("map", "sat")])
def test_two_folders_split_outside(tmp_path, names, held_out):
    one, two = names
    put(tmp_path, f"train/{one}/1.png", f"train/{two}/1.jpg", f"{held_out}/{one}/2.png", f"{held_out}/{two}/2.png")
    layout = find(tmp_path)
    assert layout.domains == names
    assert named(tmp_path, layout.train) == ([f"train/{one}/1.png"], [f"train/{two}/1.jpg"])
    assert named(tmp_path, layout.validation) == ([f"{held_out}/{one}/2.png"], [f"{held_out}/{two}/2.png"])


def test_two_paths_the_first_is_a(tmp_path):
    put(tmp_path, "z/maps/1.png", "a/photos/1.png")
    layout = find_layout([tmp_path / "z/maps", str(tmp_path / "a/photos")], data="paired")
    assert layout.domains == ("maps", "photos")
    assert named(tmp_path, layout.train) == (["z/maps/1.png"], ["a/photos/1.png"])


def test_two_paths_of_one_name_are_a_and_b(tmp_path):
    put(tmp_path, "one/images/1.png", "two/images/1.png")
    assert find_layout([tmp_path / "one/images", tmp_path / "two/images"], data="paired").domains == ("A", "B")


def test_two_paths_split_within(tmp_path):
    put(tmp_path, "x/train/1.png", "x/val/2.png", "y/train/1.png", "y/val/2.png", "x/test/3.png", "y/test/3.png")
    layout = find_layout([tmp_path / "x", tmp_path / "y"], data="paired")
    assert named(tmp_path, layout.train) == (["x/train/1.png"], ["y/train/1.png"])
    assert named(tmp_path, layout.validation) == (["x/val/2.png"], ["y/val/2.png"])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_that_one_folder_lacks_is_named(tmp_path, split):
    put(tmp_path, "A/1.png", "B/1.png", f"A/{split}/2.png")
    with pytest.raises(UsageError, match=rf"A has a folder {split} but .*B has none"):
        find(tmp_path)


@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("data", ["paired", "unpaired"])
def test_train_a_and_train_b(tmp_path, data, held_out):
    put(
        tmp_path,
        "trainA/1.jpg",
        "trainA/2.jpg",
        "trainB/2.png",
        "trainB/1.png",
        f"{held_out}A/5.png",
        f"{held_out}B/5.jpg",
    )
    layout = find(tmp_path, data=data)
    assert layout.domains == ("A", "B")
    assert named(tmp_path, layout.train) == (["trainA/1.jpg", "trainA/2.jpg"], ["trainB/1.png", "trainB/2.png"])
    assert named(tmp_path, layout.validation) == ([f"{held_out}A/5.png"], [f"{held_out}B/5.jpg"])


def test_unpaired_domains_may_differ_in_names_and_number(tmp_path):
    put(tmp_path, "trainA/x.jpg", "trainB/1.png", "trainB/2.png", "trainB/sub/3.png")
    layout = find(tmp_path, data="unpaired")
    assert named(tmp_path, layout.train) == (["trainA/x.jpg"], ["trainB/1.png", "trainB/2.png", "trainB/sub/3.png"])
    assert "unpaired" in layout.description


@pytest.mark.parametrize(("there", "missing"), [("A", "B"), ("B", "A")])
@pytest.mark.parametrize("split", ["", "train"])
def test_a_domain_without_a_folder_is_named(tmp_path, split, there, missing):
    put(tmp_path, f"{split}{there}/1.png")
    with pytest.raises(UsageError, match=f"there is {split}{there} but no {split}{missing}"):
        find(tmp_path)


@pytest.mark.parametrize(("there", "missing"), [("A", "B"), ("B", "A")])
@pytest.mark.parametrize("split", ["val", "test"])
def test_a_held_out_domain_without_a_folder_is_named(tmp_path, split, there, missing):
    put(tmp_path, "trainA/1.png", "trainB/1.png", f"{split}{there}/2.png")
    with pytest.raises(UsageError, match=f"there is {split}{there} but no {split}{missing}"):
        find(tmp_path)


@pytest.mark.parametrize(("there", "missing"), [("A", "B"), ("B", "A")])
def test_a_held_out_domain_within_val_without_a_folder_is_named(tmp_path, there, missing):
    put(tmp_path, "train/A/1.png", "train/B/1.png", f"val/{there}/2.png")
    with pytest.raises(UsageError, match=rf"val/{missing}|no {missing}"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("files", "data", "expected"),
    [
        (
            ["test/1.png", "test/2.png"],
            "paired",
            "input A = left half, target B = right half of DATA/test/*.png (2 pairs)",
        ),
        (["val/1.png"], "unpaired", "input A = left half, target B = right half of DATA/val/*.png (1 pair)"),
        (["testA/1.png", "testB/1.png"], "paired", "input A = DATA/testA, target B = DATA/testB (1 pair by name)"),
        (
            ["valA/1.png", "valA/2.png", "valB/1.png"],
            "unpaired",
            "input A = DATA/valA (2 images), target B = DATA/valB (1 image), unpaired",
        ),
        (
            ["test/sat/1.png", "test/map/1.png"],
            "paired",
            "input map = DATA/test/map, target sat = DATA/test/sat (1 pair by name)",
        ),
        (["A/test/1.png", "B/test/1.png"], "paired", "input A = DATA/A/test, target B = DATA/B/test (1 pair by name)"),
        (["test/1.png"], "single", "DATA/test: a single set of 1 image"),
    ],
)
def test_held_out_images_alone_can_be_scored_but_not_trained_on(tmp_path, files, data, expected):
    put(tmp_path, *files)
    with pytest.raises(UsageError, match=r"only held-out images \((val|test)\), which are not trained on"):
        find(tmp_path, data=data)
    layout = find(tmp_path, data=data, training=False)
    assert layout.train.b == ()
    assert layout.validation.name in files[0]
    assert layout.description == expected.replace("DATA", str(tmp_path))


def test_val_and_test_are_not_two_domains(tmp_path):
    put(tmp_path, "val/1.png", "test/1.png")
    layout = find(tmp_path, data="unpaired", training=False)
    assert (layout.matched, layout.validation.name) == ("halves", "val")


def test_a_data_folder_may_have_the_name_of_a_glob(tmp_path):
    put(tmp_path, "[x]/train/1.png", "[x]/val/2.png", "x/train/3.png")
    layout = find(tmp_path / "[x]")
    assert named(tmp_path, layout.train)[0] == ["[x]/train/1.png"]
    assert named(tmp_path, layout.validation)[0] == ["[x]/val/2.png"]


def test_one_folder_is_not_two_domains(tmp_path):
    put(tmp_path, "1.png")
    with pytest.raises(UsageError, match="is given twice"):
        find_layout([tmp_path, tmp_path], data="paired")


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path):
    put(tmp_path, "A/1.png")
    with pytest.raises(UsageError, match="nowhere: there is no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"1\.png: not a folder"):
        find(tmp_path / "A/1.png")
    with pytest.raises(UsageError, match="nowhere: there is no such folder"):
        find_layout([tmp_path / "A", tmp_path / "nowhere"], data="paired")


def test_an_empty_folder_is_named_with_what_is_expected(tmp_path):
    with pytest.raises(UsageError, match="no images in this folder; expected side-by-side pairs"):
        find(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").touch()
    with pytest.raises(UsageError, match="no images in this folder; expected side-by-side pairs"):
        find(tmp_path)


@pytest.mark.parametrize("empty", ["A", "trainA", "train"])
def test_an_empty_part_of_a_layout_is_named(tmp_path, empty):
    (tmp_path / empty).mkdir()
    if empty != "train":
        put(tmp_path, f"{empty[:-1]}B/1.png")
    with pytest.raises(UsageError, match=rf"/{empty}: no images in this folder; images end in \.bmp"):
        find(tmp_path)


@pytest.mark.parametrize("names", [("photos",), ("photos", "maps", "drawings")])
def test_one_or_three_folders_are_not_a_layout(tmp_path, names):
    put(tmp_path, *(f"{name}/1.png" for name in names))
    with pytest.raises(UnknownLayoutError, match=f"images in {', '.join(sorted(names))}, not a known layout"):
        find(tmp_path)


def test_hidden_folders_within_train_do_not_count(tmp_path):
    put(tmp_path, "train/map/1.png", "train/sat/1.png", "train/.cache/1.png")
    assert find(tmp_path).domains == ("map", "sat")


def test_hidden_images_are_not_side_by_side_images(tmp_path):
    put(tmp_path, "map/1.png", "sat/1.png", "._1.png")
    assert find(tmp_path).domains == ("map", "sat")


def test_a_folder_of_hidden_images_alone_is_empty(tmp_path):
    put(tmp_path, ".1.png")
    with pytest.raises(UsageError, match="no images in this folder"):
        find(tmp_path)


def test_a_single_set_is_one_folder(tmp_path):
    put(tmp_path, "x/1.png", "y/1.png")
    with pytest.raises(UsageError, match="this method learns from a single set of images: give one folder"):
        find_layout([tmp_path / "x", tmp_path / "y"], data="single")
