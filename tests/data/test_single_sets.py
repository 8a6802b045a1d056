from __future__ import annotations

import pytest

from i2i.errors import UsageError
from support.folders import find, named, put


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


def test_val_goes_before_test_in_a_single_set(tmp_path):
    put(tmp_path, "train/1.png", "val/2.png", "test/3.png")
    assert named(tmp_path, single(tmp_path).validation) == ([], ["val/2.png"])


def test_without_labels_folders_are_not_classes(tmp_path):
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
def test_held_out_folders_are_not_classes_and_may_lack_some(tmp_path, train):
    put(tmp_path, f"{train}cat/1.png", f"{train}ant/2.png", "val/cat/3.png")
    layout = single(tmp_path, labels=True)
    assert layout.classes == ("ant", "cat")
    assert [source.path.name for source in layout.train.b] == ["2.png", "1.png"]
    assert (layout.train.labels, layout.validation.labels) == ((0, 1), (1,))


def test_an_image_beside_the_classes_is_named(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/ant/2.png", "train/3.png")
    with pytest.raises(UsageError, match=r"train/3\.png: not in the folder of a class, .* are ant, cat"):
        single(tmp_path, labels=True)


@pytest.mark.parametrize("count", [0, 1])
def test_labels_need_two_classes(tmp_path, count):
    put(tmp_path, "1.png", *(f"{index}/1.png" for index in range(count)))
    with pytest.raises(UsageError, match=f"needs two or more; folders with images: {count}$"):
        single(tmp_path, labels=True)


@pytest.mark.parametrize("data", ["paired", "unpaired"])
def test_labels_are_for_a_single_set(tmp_path, data):
    put(tmp_path, "A/1.png", "B/1.png")
    with pytest.raises(UsageError, match=r"labels is for a single set of images \(gan\); leave it out"):
        find(tmp_path, data=data, labels=True)


@pytest.mark.parametrize("options", [{"swap": True}, {"domains": ("x", "y")}])
def test_a_single_set_has_no_direction(tmp_path, options):
    put(tmp_path, "1.png")
    with pytest.raises(UsageError, match="give one folder, without swap and domains"):
        single(tmp_path, **options)


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
