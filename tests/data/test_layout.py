from __future__ import annotations

import pytest

from i2i.data import find_layout
from i2i.errors import UsageError
from support.folders import find, named, put


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
    with pytest.raises(UsageError, match="the folders are named map and sat; give these two names, or two new ones"):
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


def test_folders_are_named_relative_to_the_working_directory(tmp_path, monkeypatch):
    put(tmp_path, "pairs/train/1.png")
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path / "pairs").description.endswith("right half of pairs/train/*.png (1 pair)")


def test_swap_takes_the_right_half_first(tmp_path):
    put(tmp_path, "train/1.png", "val/2.png")
    layout = find(tmp_path, swap=True, domains=("drawing", "photo"))
    assert layout.domains == ("photo", "drawing")  # the right half is the photo
    assert layout.description.startswith("input photo = right half, target drawing = left half of")
    assert (layout.train.a[0].half, layout.train.b[0].half) == ("right", "left")
    assert (layout.validation.a[0].half, layout.validation.b[0].half) == ("right", "left")


def test_two_domains_of_one_name_are_refused(tmp_path):
    put(tmp_path, "map/1.png", "sat/1.png")
    with pytest.raises(UsageError, match=r"domains=\('map', 'map'\): the domains need different names"):
        find(tmp_path, domains=("map", "map"))
