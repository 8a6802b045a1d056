from __future__ import annotations

import cv2
import numpy as np
import pytest

from i2i.data.check import check
from support.scenes import lay_out, names, photos, save, scene, side_by_side, two_folders


def test_wide_images_are_pairs_only_with_a_step_in_the_middle(tmp_path):
    for number in range(8):
        wide = cv2.GaussianBlur(scene(number, size=96)[1], (0, 0), 2)[:64]
        save(tmp_path / "photos" / f"{number}.png", wide)
        a, b = scene(number)
        save(tmp_path / "pairs" / f"{number}.png", np.concatenate([a[:, :48], b[:, :48]], axis=1))
    assert check([tmp_path / "photos"]).data == "single"
    assert check([tmp_path / "pairs"]).data == "paired"


def test_images_without_a_partner(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    for number in (3, 5):
        (root / "B" / f"{number}.png").unlink()
    save(root / "B" / "x.png", scene(50)[1])
    text, said, findings = found(root)
    assert said["data"] == "paired"
    assert list(findings) == ["no_partner"]
    assert names(findings["no_partner"], root) == [["A/3.png"], ["A/5.png"], ["B/x.png"]]
    assert "3 images have no partner" in text
    assert text.splitlines()[-1] == "1 error"


def test_folders_of_which_few_names_match_are_taken_for_unpaired_with_a_note(found, tmp_path):
    photos(tmp_path / "set/A", 4)
    photos(tmp_path / "set/B", 4, start=10)
    for index, path in enumerate(sorted((tmp_path / "set/B").iterdir())[1:]):
        path.rename(path.with_name(f"q{index}.png"))
    _, said, findings = found(tmp_path / "set")
    assert said["data"] == "unpaired"
    assert list(findings) == ["names"]
    save(tmp_path / "set/B/more.png", scene(90)[1])
    assert found(tmp_path / "set")[2] == {}


def test_two_files_of_the_same_name(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    save(root / "A" / "4.jpg", scene(70)[0])
    _, _, findings = found(root)
    assert list(findings) == ["same_name"]
    assert names(findings["same_name"], root) == [["A/4.jpg", "A/4.png"]]


def test_files_left_out_are_counted_by_kind(found, tmp_path):
    root = tmp_path / "set"
    photos(root / "train", 4)
    photos(tmp_path / "elsewhere", 2, start=30)
    photos(root / "extra", 3, start=40)
    for name in (".DS_Store", "train/._p0.png", "train/notes.txt", "train/labels.json", "train/p9.heic"):
        (root / name).write_bytes(b"x")
    (root / "train" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    text, said, findings = found(root)
    assert said["left_out"] == {"hidden": 2, "links": 2, ".txt": 1, ".json": 1, ".heic": 1, "images": 3}
    assert {kind: finding["severity"] for kind, finding in findings.items()} == {
        "links": "warning",
        "format": "warning",
        "unused": "note",
    }
    assert names(findings["links"], root) == [["train/gone.png"], ["train/linked"]]
    assert names(findings["unused"], root) == [["extra"]]
    assert "train/linked: a folder of 2 images" in text
    assert said["splits"]["train"][0]["count"] == 4


def test_a_test_folder_beside_val_is_unused(found, tmp_path):
    root = tmp_path / "set"
    lay_out(root, "side by side")
    side_by_side(root / "test", 3, start=40)
    text, said, findings = found(root)
    assert list(findings) == ["unused"]
    assert said["left_out"] == {"images": 3}
    assert "           test: 3 images" in text.splitlines()


@pytest.mark.parametrize("kind", ["side by side", "two folders", "unpaired"])
def test_unreadable_files_are_named_with_the_reason(found, tmp_path, kind):
    root = tmp_path / "set"
    lay_out(root, kind)
    folder = {"side by side": "train", "two folders": "B", "unpaired": "trainB"}[kind]
    one, two, three = sorted((root / folder).iterdir())[:3]
    one.write_bytes(b"")
    two.write_bytes(two.read_bytes()[:900])
    three.write_text("no image")
    text, said, findings = found(root)
    assert list(findings) == ["unreadable"]
    assert names(findings["unreadable"], root) == [[f"{folder}/{path.name}"] for path in (one, two, three)]
    reasons = [named["detail"] for named in findings["unreadable"]["files"]]
    assert "empty" in reasons[0]
    assert "truncated" in reasons[1]
    assert "not an image" in reasons[2]
    assert said["splits"]["train"][1]["count"] == (2 if kind == "unpaired" else 7)
    assert "3 files can't be read" in text


def test_files_that_are_not_two_images_side_by_side(found, tmp_path):
    root = side_by_side(tmp_path / "set", 9)
    save(root / "odd.png", np.concatenate(scene(40), axis=1)[:, 1:])
    save(root / "one.png", scene(41)[0])
    _, said, findings = found(root)
    assert said["data"] == "paired"
    assert list(findings) == ["not_two"]
    assert names(findings["not_two"], root) == [["odd.png"], ["one.png"]]
    assert [named["detail"] for named in findings["not_two"]["files"]] == ["127 x 64", "64 x 64"]
