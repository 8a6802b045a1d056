from __future__ import annotations

import shutil

import numpy as np
import pytest

from support.scenes import SIZE, lay_out, names, photos, save, saved_again, scene, side_by_side, two_folders


@pytest.mark.parametrize("near", [False, True])
def test_copies_within_a_split_and_across(found, tmp_path, near):
    root = tmp_path / "set"
    photos(root / "train", 6, size=128)
    photos(root / "val", 4, start=20, size=128)
    again = saved_again if near else np.array
    save(root / "train/copy.png", again(scene(2, size=128)[1]))
    save(root / "val/copy.png", again(scene(4, size=128)[1]))
    _, _, findings = found(root)
    start = "near_" if near else ""
    assert set(findings) == {f"{start}copies", f"{start}leak"}
    assert names(findings[f"{start}copies"], root) == [["train/copy.png", "train/p2.png"]]
    assert names(findings[f"{start}leak"], root) == [["train/p4.png", "val/copy.png"]]
    assert findings[f"{start}leak"]["severity"] == "warning"


def test_flat_images_are_copies_only_where_they_are_identical(found, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        flat = np.full((SIZE, SIZE, 3), (100 + 9 * number, 80, 90)) + rng.integers(0, 2, (SIZE, SIZE, 3))
        save(tmp_path / "set" / f"{number}.png", flat.astype(np.uint8))
    assert found(tmp_path / "set")[2] == {}
    shutil.copy(tmp_path / "set/2.png", tmp_path / "set/9.png")
    _, _, findings = found(tmp_path / "set")
    assert names(findings["copies"], tmp_path / "set") == [["2.png", "9.png"]]
    assert len(findings) == 1


@pytest.mark.parametrize(
    ("again", "kind", "near"),
    [
        ("AB", "copies", False),
        ("AB", "copies", True),
        ("A", "repeated_inputs", True),
        ("B", "repeated_targets", False),
        ("", None, False),
    ],
)
def test_repeated_inputs_targets_and_pairs(found, tmp_path, again, kind, near):
    root = two_folders(tmp_path / "set", 9)
    for index, folder in enumerate("AB"):
        repeated = scene(3)[index]
        repeated = saved_again(repeated, size=SIZE, quality=90) if near else repeated
        save(root / folder / "9.png", repeated if folder in again else scene(60)[index])
    _, _, findings = found(root)
    if kind is None:
        assert findings == {}
        return
    kind = "near_copies" if near and kind == "copies" else kind
    assert list(findings) == [kind]
    both = [[f"{folder}/{number}.png" for number in (3, 9) for folder in again]]
    assert names(findings[kind], root) == both


def test_an_input_both_to_train_on_and_held_out_is_reported(found, tmp_path):
    side_by_side(tmp_path / "set/train", 9)
    (tmp_path / "set/val").mkdir()
    save(tmp_path / "set/val/x.png", np.concatenate([scene(3)[0], scene(60)[1]], axis=1))
    _, _, findings = found(tmp_path / "set")
    assert list(findings) == ["repeated_inputs"]
    assert findings["repeated_inputs"]["message"].endswith("; 1 of them both to train on and held out")


def test_an_image_in_both_sets_and_an_image_paired_with_itself(found, tmp_path):
    lay_out(tmp_path / "two", "unpaired")
    shutil.copy(tmp_path / "two/trainA/p2.png", tmp_path / "two/trainB/x.png")
    _, _, findings = found(tmp_path / "two")
    assert names(findings["in_both"], tmp_path / "two") == [["trainA/p2.png", "trainB/x.png"]]
    root = two_folders(tmp_path / "set", 9)
    shutil.copy(root / "A/5.png", root / "B/5.png")
    assert names(found(root)[2]["equal_pair"], root) == [["A/5.png", "B/5.png"]]
