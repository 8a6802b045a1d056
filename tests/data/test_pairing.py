from __future__ import annotations

import pytest

from i2i.data.folders import survey
from i2i.errors import UsageError
from support.folders import find, named, put


@pytest.mark.parametrize("size", [(4, 4), (4, 8), (7, 4)])
def test_a_file_that_is_not_two_images_is_named_with_its_size(tmp_path, size):
    put(tmp_path, "train/1.png", size=size)
    with pytest.raises(UsageError, match=rf"1\.png is {size[0]} x {size[1]} pixels: not two images side by side"):
        find(tmp_path)


def test_a_file_that_is_not_an_image_is_named(tmp_path):
    put(tmp_path, "train/2.png")
    (tmp_path / "train/1.png").write_text("not an image")
    with pytest.raises(UsageError, match=r"1\.png"):
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


def test_endings_a_and_b_are_ignored(tmp_path):
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
    with pytest.raises(UsageError, match=rf"{one[0]}: {one[2:]} and {two[2:]} have the same name"):
        find(tmp_path)
    assert len(find(tmp_path, data="unpaired").train.a) == (2 if one[0] == "A" else 1)


def test_a_survey_lists_all_that_find_layout_refuses(tmp_path):
    put(tmp_path, "A/1.png", "A/1.jpg", "A/2.png", "A/3.png", "B/1.png", "B/4.png", "B/5.png")
    layout = survey([tmp_path], data="paired")
    assert named(tmp_path, layout.train) == (["A/1.jpg"], ["B/1.png"])
    problems = [
        (one.kind, [path.relative_to(tmp_path).as_posix() for path in one.files]) for one in layout.train.problems
    ]
    assert problems == [
        ("same_name", ["A/1.jpg", "A/1.png"]),
        ("no_partner", ["A/2.png", "A/3.png"]),
        ("no_partner", ["B/4.png", "B/5.png"]),
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
