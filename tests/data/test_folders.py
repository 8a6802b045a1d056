import zlib

import numpy as np
import pytest
from PIL import Image

from i2i.data.folders import Source, UnknownLayoutError, find_layout, survey
from i2i.errors import UsageError
from i2i.images.reading import read


def put(root, *names, size=(8, 4)):
    """Make small images, their folders too."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def named(root, split):
    """The files of a split's domains, relative to a folder."""
    return tuple([source.path.relative_to(root).as_posix() for source in domain] for domain in (split.a, split.b))


def find(root, *, data="paired", **options):
    return find_layout([root], data=data, **options)


@pytest.mark.parametrize("data", ["paired", "unpaired"])
@pytest.mark.parametrize("held_out", ["val", "test"])
@pytest.mark.parametrize("within", ["train/", ""])
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


@pytest.mark.parametrize("size", [(4, 4), (4, 8), (7, 4)])
def test_a_image_that_is_not_two_is_named_with_its_size(tmp_path, size):
    put(tmp_path, "train/1.png", size=size)
    with pytest.raises(UsageError, match=rf"1\.png is {size[0]} x {size[1]} pixels: not two images side by side"):
        find(tmp_path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    put(tmp_path, "train/2.png")
    (tmp_path / "train/1.png").write_text("not an image")
    with pytest.raises(UsageError, match=r"1\.png"):
        find(tmp_path)


@pytest.mark.parametrize("names", [("A", "B"), ("a", "b"), ("map", "sat")])
def test_two_folders_give_their_names_to_the_domains(tmp_path, names):
    one, two = names
    put(tmp_path, f"{one}/1.jpg", f"{one}/2.png", f"{two}/2.webp", f"{two}/1.png", size=(4, 4))
    layout = find(tmp_path)
    assert layout.domains == names
    assert named(tmp_path, layout.train) == ([f"{one}/1.jpg", f"{one}/2.png"], [f"{two}/1.png", f"{two}/2.webp"])
    assert {source.half for source in layout.train.a + layout.train.b} == {"whole"}
    assert layout.validation is None


def test_hidden_and_empty_folders_beside_the_two_do_not_count(tmp_path):
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


def test_pairs_go_by_name_never_by_order(tmp_path):
    # In each folder's own order, 10 comes before 9 here and after it there.
    put(tmp_path, "A/10.png", "A/9.png", "A/b.jpg", "B/10.png", "B/9.jpg", "B/b.png")
    assert named(tmp_path, find(tmp_path).train) == (
        ["A/10.png", "A/9.png", "A/b.jpg"],
        ["B/10.png", "B/9.jpg", "B/b.png"],
    )


def test_names_match_up_to_the_last_suffix(tmp_path):
    put(tmp_path, "A/x.v1.png", "A/x.v2.png", "B/x.v1.jpg", "B/x.v2.jpg")
    assert named(tmp_path, find(tmp_path).train) == (["A/x.v1.png", "A/x.v2.png"], ["B/x.v1.jpg", "B/x.v2.jpg"])


def test_pairs_match_in_sub_folders_by_the_whole_path(tmp_path):
    put(tmp_path, "A/x/1.png", "A/y/1.png", "B/y/1.jpg", "B/x/1.jpg")
    assert named(tmp_path, find(tmp_path).train) == (["A/x/1.png", "A/y/1.png"], ["B/x/1.jpg", "B/y/1.jpg"])
    put(tmp_path, "A/z/2.png", "B/2.png")
    with pytest.raises(UsageError, match="no partner"):
        find(tmp_path)


def test_endings_a_and_b_are_left_out(tmp_path):
    put(tmp_path, "one/s/1_A.png", "one/2.png", "two/s/1_B.jpg", "two/2_B.png")
    layout = find(tmp_path)
    assert named(tmp_path, layout.train) == (["one/2.png", "one/s/1_A.png"], ["two/2_B.png", "two/s/1_B.jpg"])


def test_endings_count_only_in_their_own_folder(tmp_path):
    put(tmp_path, "one/1_B.png", "two/1.png")
    with pytest.raises(UsageError, match="1_B"):
        find(tmp_path)


@pytest.mark.parametrize("alone", ["A", "B"])
def test_images_without_a_partner_are_counted_and_named(tmp_path, alone):
    put(tmp_path, "A/1.png", "B/1.png", *(f"{alone}/x{i}.png" for i in range(5)))
    with pytest.raises(UsageError, match=rf"{alone}: 5 of 6 images have no partner .*: x0, x1, x2, \.\.\.; rename"):
        find(tmp_path)


def test_held_out_images_need_partners_too(tmp_path):
    put(tmp_path, "trainA/1.png", "trainB/1.png", "testA/2.png", "testB/3.png")
    with pytest.raises(UsageError, match=r"testA: 1 of 1 images have no partner .*testB: 2;"):
        find(tmp_path)


@pytest.mark.parametrize(("one", "two"), [("A/1.jpg", "A/1.png"), ("A/1.png", "A/1_A.png"), ("B/1.png", "B/1_B.png")])
def test_two_files_of_one_name_are_named(tmp_path, one, two):
    put(tmp_path, "A/1.png", "B/1.png", one, two)
    with pytest.raises(UsageError, match=rf"{one[0]}: {one[2:]} and {two[2:]} would be one name"):
        find(tmp_path)
    assert len(find(tmp_path, data="unpaired").train.a) == (2 if one[0] == "A" else 1)


@pytest.mark.parametrize(
    ("options", "domains", "turned"),
    [
        ({}, ("map", "sat"), False),
        ({"swap": True}, ("sat", "map"), True),
        ({"domains": ("map", "sat")}, ("map", "sat"), False),
        ({"domains": ("sat", "map")}, ("sat", "map"), True),
        ({"domains": ("x", "y")}, ("x", "y"), False),
        ({"domains": ("x", "y"), "swap": True}, ("y", "x"), True),
        ({"domains": ("map", "y")}, ("map", "y"), False),
        ({"domains": ("sat", "map"), "swap": True}, ("map", "sat"), False),
        # Other words for the same: satellite is sat, sketch is no photo.
        ({"domains": ("satellite", "street maps")}, ("satellite", "street maps"), True),
        ({"domains": ("sketch", "photo")}, ("sketch", "photo"), False),
    ],
)
def test_domains_and_swap_decide_what_is_which(tmp_path, options, domains, turned):
    put(tmp_path, "map/train/1.png", "sat/train/1.png", "map/val/2.png", "sat/val/2.png")
    layout = find(tmp_path, **options)
    first, second = ("sat", "map") if turned else ("map", "sat")
    assert layout.domains == domains
    assert named(tmp_path, layout.train) == ([f"{first}/train/1.png"], [f"{second}/train/1.png"])
    assert named(tmp_path, layout.validation) == ([f"{first}/val/2.png"], [f"{second}/val/2.png"])


@pytest.mark.parametrize("domains", [("sat", "y"), ("x", "map")])
def test_a_folders_name_is_not_given_to_the_other_images(tmp_path, domains):
    put(tmp_path, "map/1.png", "sat/1.png")
    with pytest.raises(UsageError, match="the images are named map and sat; give both of these names, or others"):
        find(tmp_path, domains=domains)


@pytest.mark.parametrize(
    ("names", "swap", "first"),
    [
        (("photos", "sketches"), False, "sketches"),
        (("photos", "sketches"), True, "photos"),
        (("real", "Edge Maps"), False, "Edge Maps"),
        (("a_color", "b_gray"), False, "b_gray"),
        (("labels", "photo"), False, "labels"),
        # Where the names don't say it, the alphabet does.
        (("horses", "zebras"), False, "horses"),
        (("images", "masks"), False, "images"),
        (("photos of maps", "sketches"), False, "photos of maps"),
    ],
)
@pytest.mark.parametrize("within", ["", "train/"])
def test_sketches_and_the_like_become_photos_and_the_like(tmp_path, names, swap, first, within):
    put(tmp_path, *(f"{within}{name}/1.png" for name in names))
    layout = find(tmp_path, swap=swap)
    assert layout.domains[0] == layout.train.a[0].path.parent.name == first
    assert f"input {first} = {tmp_path}/{within}{first}, target" in layout.description


def test_two_paths_keep_their_order_whatever_they_are_called(tmp_path):
    put(tmp_path, "photos/1.png", "sketches/1.png")
    assert find_layout([tmp_path / "photos", tmp_path / "sketches"], data="paired").domains == ("photos", "sketches")


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


def test_val_and_test_are_no_two_domains(tmp_path):
    put(tmp_path, "val/1.png", "test/1.png")
    layout = find(tmp_path, data="unpaired", training=False)
    assert (layout.matched, layout.validation.name) == ("halves", "val")


def test_folders_are_told_from_where_one_is(tmp_path, monkeypatch):
    put(tmp_path, "pairs/train/1.png")
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path / "pairs").description.endswith("right half of pairs/train/*.png (1 pair)")


# Width and height are exchanged by orientations 5 to 8.
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"), [("jpg", {}), ("png", {}), ("webp", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})]
)
def test_pairs_are_seen_as_their_orientation_says(tmp_path, suffix, options, orientation):
    turned = orientation >= 5
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, size in (("pair", (4, 8) if turned else (8, 4)), ("no pair", (8, 4) if turned else (4, 8))):
        folder = tmp_path / name / "train"
        folder.mkdir(parents=True)
        Image.new("RGB", size).save(folder / f"1.{suffix}", exif=exif, **options)
    assert read(tmp_path / f"pair/train/1.{suffix}").pixels.shape[:2] == (4, 8)
    assert len(find(tmp_path / "pair").train.a) == 1
    with pytest.raises(UsageError, match="is 4 x 8 pixels: not two images side by side"):
        find(tmp_path / "no pair")


def test_the_orientation_of_a_png_may_come_after_its_pixels(tmp_path):
    Image.new("RGB", (4, 8)).save(tmp_path / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = (tmp_path / "1.png").read_bytes()
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = len(data).to_bytes(4, "big") + b"eXIf" + data + zlib.crc32(b"eXIf" + data).to_bytes(4, "big")
    (tmp_path / "1.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    assert read(tmp_path / "1.png").pixels.shape[:2] == (4, 8)
    assert len(find(tmp_path).train.a) == 1


def test_a_data_folder_may_have_the_name_of_a_glob(tmp_path):
    put(tmp_path, "[x]/train/1.png", "[x]/val/2.png", "x/train/3.png")
    layout = find(tmp_path / "[x]")
    assert named(tmp_path, layout.train)[0] == ["[x]/train/1.png"]
    assert named(tmp_path, layout.validation)[0] == ["[x]/val/2.png"]


def test_one_folder_is_not_two_domains(tmp_path):
    put(tmp_path, "1.png")
    with pytest.raises(UsageError, match="is given twice"):
        find_layout([tmp_path, tmp_path], data="paired")


def test_swap_takes_the_right_half_first(tmp_path):
    put(tmp_path, "train/1.png", "val/2.png")
    layout = find(tmp_path, swap=True, domains=("drawing", "photo"))
    assert layout.domains == ("photo", "drawing")  # the right half is the photo
    assert layout.description.startswith("input photo = right half, target drawing = left half of")
    assert (layout.train.a[0].half, layout.train.b[0].half) == ("right", "left")
    assert (layout.validation.a[0].half, layout.validation.b[0].half) == ("right", "left")


def test_two_domains_of_one_name_are_refused(tmp_path):
    put(tmp_path, "map/1.png", "sat/1.png")
    with pytest.raises(UsageError, match="--domains map map: the two need different names"):
        find(tmp_path, domains=("map", "map"))


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
def test_another_number_of_folders_is_no_layout(tmp_path, names):
    put(tmp_path, *(f"{name}/1.png" for name in names))
    with pytest.raises(
        UnknownLayoutError, match=f"images in {', '.join(sorted(names))}, which is no layout that is known"
    ):
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


def test_a_survey_tells_of_all_that_find_layout_refuses(tmp_path):
    put(tmp_path, "A/1.png", "A/1.jpg", "A/2.png", "A/3.png", "B/1.png", "B/4.png", "B/5.png")
    layout = survey([tmp_path], data="paired")
    assert named(tmp_path, layout.train) == (["A/1.jpg"], ["B/1.png"])
    problems = [
        (one.kind, [path.relative_to(tmp_path).as_posix() for path in one.files]) for one in layout.train.problems
    ]
    assert problems == [
        ("same_name", ["A/1.jpg", "A/1.png"]),
        ("alone", ["A/2.png", "A/3.png"]),
        ("alone", ["B/4.png", "B/5.png"]),
    ]
    with pytest.raises(UsageError) as refused:
        find(tmp_path)
    assert str(refused.value) == layout.train.problems[0].message
    assert survey([tmp_path], data="unpaired").train.problems == ()


def test_a_survey_of_side_by_side_files_leaves_out_the_others(tmp_path):
    put(tmp_path, "train/1.png", "val/1.png")
    put(tmp_path, "train/2.png", size=(7, 4))
    (tmp_path / "val/3.png").write_text("not an image")
    layout = survey([tmp_path], data="paired")
    assert named(tmp_path, layout.train) == (["train/1.png"],) * 2
    assert [(one.kind, one.files) for one in layout.train.problems] == [("not_two", (tmp_path / "train/2.png",))]
    assert [(one.kind, one.files) for one in layout.validation.problems] == [("unreadable", (tmp_path / "val/3.png",))]


def test_arrays_may_be_side_by_side(tmp_path):
    np.save(tmp_path / "1.npy", np.zeros((4, 8, 5), np.uint8))
    assert find(tmp_path).train.b == (Source(tmp_path / "1.npy", "right"),)
    np.save(tmp_path / "2.npy", np.zeros((4, 7, 5), np.uint8))
    with pytest.raises(UsageError, match=r"2\.npy is 7 x 4 pixels"):
        find(tmp_path)


def single(root, **options):
    return find(root, data="single", **options)


def of_class(root, layout, split):
    """The files of each class of a split, by its name."""
    files = [source.path.relative_to(root).as_posix() for source in split.b]
    pairs = list(zip(split.labels, files, strict=True))
    return {name: [file for label, file in pairs if label == index] for index, name in enumerate(layout.classes)}


def test_a_single_set_is_all_that_a_folder_holds(tmp_path):
    put(tmp_path, "2.jpg", "1.png", "a/b/3.png", "c/4.webp", ".hidden/5.png", size=(4, 4))
    (tmp_path / "notes.txt").touch()
    layout = single(tmp_path)
    assert named(tmp_path, layout.train) == ([], ["1.png", "2.jpg", "a/b/3.png", "c/4.webp"])
    assert {source.half for source in layout.train.b} == {"whole"}
    assert layout.domains == ("latent", tmp_path.name)
    assert (layout.validation, layout.classes, layout.train.labels) == (None, (), ())
    assert "a single set of 4 images" in layout.description


def test_images_of_a_single_set_may_have_any_shape(tmp_path):
    put(tmp_path, "1.png", size=(7, 4))
    put(tmp_path, "2.png", size=(4, 9))
    assert named(tmp_path, single(tmp_path).train) == ([], ["1.png", "2.png"])


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_a_single_set_may_hold_images_out(tmp_path, held_out):
    put(tmp_path, "train/1.png", "train/a/2.png", f"{held_out}/3.png", f"{held_out}/b/4.png", "others/5.png")
    layout = single(tmp_path)
    assert named(tmp_path, layout.train) == ([], ["train/1.png", "train/a/2.png"])
    assert named(tmp_path, layout.validation) == ([], [f"{held_out}/3.png", f"{held_out}/b/4.png"])
    assert layout.domains == ("latent", tmp_path.name)


def test_of_a_single_set_too_val_goes_before_test(tmp_path):
    put(tmp_path, "train/1.png", "val/2.png", "test/3.png")
    assert named(tmp_path, single(tmp_path).validation) == ([], ["val/2.png"])


def test_without_labels_folders_are_no_classes(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/2.png")
    layout = single(tmp_path)
    assert (layout.classes, layout.train.labels) == ((), ())


@pytest.mark.parametrize("within", ["train/", ""])
def test_with_labels_each_folder_is_a_class(tmp_path, within):
    put(tmp_path, f"{within}7/1.png", f"{within}7/x/2.png", f"{within}3/3.png", f"{within}10/4.png")
    (tmp_path / within / "empty").mkdir()
    put(tmp_path, f"{within}.cache/5.png")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("10", "3", "7")
    assert of_class(tmp_path, layout, layout.train) == {
        "10": [f"{within}10/4.png"],
        "3": [f"{within}3/3.png"],
        "7": [f"{within}7/1.png", f"{within}7/x/2.png"],
    }
    assert layout.train.a == ()
    assert layout.validation is None
    assert "3 classes (10, 3, 7) of 4 images" in layout.description


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_held_out_images_have_the_labels_of_training(tmp_path, held_out):
    put(tmp_path, "train/cat/1.png", "train/ant/2.png", f"{held_out}/ant/3.png", f"{held_out}/cat/4.png")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("ant", "cat")
    assert of_class(tmp_path, layout, layout.train) == {"ant": ["train/ant/2.png"], "cat": ["train/cat/1.png"]}
    held = of_class(tmp_path, layout, layout.validation)
    assert held == {"ant": [f"{held_out}/ant/3.png"], "cat": [f"{held_out}/cat/4.png"]}


def test_classes_are_told_apart_by_case(tmp_path):
    put(tmp_path, "train/A/1.png", "train/a/2.png", "train/b/3.png", "train/B/4.png")
    if len(list((tmp_path / "train").iterdir())) < 4:
        pytest.skip("this file system takes A and a for one")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("A", "B", "a", "b")
    assert of_class(tmp_path, layout, layout.train) == {
        "A": ["train/A/1.png"],
        "B": ["train/B/4.png"],
        "a": ["train/a/2.png"],
        "b": ["train/b/3.png"],
    }


@pytest.mark.parametrize("train", ["train/", ""])
def test_what_is_held_out_is_no_class_and_need_not_have_all(tmp_path, train):
    put(tmp_path, f"{train}cat/1.png", f"{train}ant/2.png", "val/cat/3.png")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("ant", "cat")
    assert [source.path.name for source in layout.train.b] == ["2.png", "1.png"]
    assert (layout.train.labels, layout.validation.labels) == ((0, 1), (1,))


def test_a_image_beside_the_classes_is_named(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/ant/2.png", "train/3.png")
    with pytest.raises(UsageError, match=r"train/3\.png: .* lies in the folder of its class: ant, cat"):
        single(tmp_path, labels=True)


@pytest.mark.parametrize("count", [0, 1])
def test_labels_need_two_classes(tmp_path, count):
    put(tmp_path, "1.png", *(f"{index}/1.png" for index in range(count)))
    with pytest.raises(UsageError, match=f"with --labels each of its folders is a class, and there are {count}$"):
        single(tmp_path, labels=True)


@pytest.mark.parametrize("data", ["paired", "unpaired"])
def test_labels_are_for_a_single_set(tmp_path, data):
    put(tmp_path, "A/1.png", "B/1.png")
    with pytest.raises(UsageError, match=r"labels are for a single set of images \(gan\); leave out --labels"):
        find(tmp_path, data=data, labels=True)


@pytest.mark.parametrize("options", [{"swap": True}, {"domains": ("x", "y")}])
def test_a_single_set_has_no_direction(tmp_path, options):
    put(tmp_path, "1.png")
    with pytest.raises(UsageError, match="give one folder, without --swap and --domains"):
        single(tmp_path, **options)


def test_a_single_set_is_one_folder(tmp_path):
    put(tmp_path, "x/1.png", "y/1.png")
    with pytest.raises(UsageError, match="this method learns one set of images: give one folder"):
        find_layout([tmp_path / "x", tmp_path / "y"], data="single")


@pytest.mark.parametrize("empty", ["", "train"])
def test_an_empty_part_of_a_single_set_is_named(tmp_path, empty):
    put(tmp_path, *{"": [], "train": ["val/1.png"]}[empty])
    (tmp_path / empty).mkdir(exist_ok=True)
    with pytest.raises(UsageError, match=rf"{(tmp_path / empty).name}: no images in this folder; images end in \.bmp"):
        single(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, "bus/1.png", "train/2.png", "plane/3.png", "val/train/4.png")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("bus", "plane", "train")
    assert layout.validation.labels == (2,)
