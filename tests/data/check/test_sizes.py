from __future__ import annotations

import cv2

from support.scenes import names, photos, save, scene, two_folders


def test_pairs_of_different_shapes_and_sizes(found, tmp_path):
    root = two_folders(tmp_path / "set", 9, size=80)
    save(root / "B/2.png", scene(2, size=80)[1][:66])
    save(root / "B/4.png", cv2.resize(scene(4, size=80)[1], (160, 160)))
    _, _, findings = found(root)
    assert list(findings) == ["pair_shapes", "pair_sizes"]
    assert findings["pair_shapes"]["files"] == [
        {"paths": [f"{root}/A/2.png", f"{root}/B/2.png"], "detail": "80 x 80 and 80 x 66"}
    ]
    assert findings["pair_sizes"]["files"][0]["detail"] == "80 x 80 and 160 x 160"


def test_images_smaller_than_the_crop(found, tmp_path):
    root = tmp_path / "set"
    photos(root, 12)
    text, _, findings = found(root, size=128)
    assert list(findings) == ["small"]
    assert "all 12 images are smaller than 128 pixels" in text
    assert findings["small"]["advice"] == "train with image_size=64"
    save(root / "p3.png", scene(3, size=50)[1])
    text, said, findings = found(root)
    assert names(findings["small"], root) == [["p3.png"]]
    assert findings["small"]["advice"] == "remove them, or train with image_size=32"
    assert "1 of 12 images is smaller than 64 pixels" in text
    assert "-> remove them, or train with --image-size 32" in text
    assert "50 x 50 to 64 x 64 (median 64 x 64)" in text
    assert said["splits"]["train"][0]["smallest"] == [50, 50]


def test_images_far_from_square(found, tmp_path):
    for number in range(5):
        save(tmp_path / "set" / f"{number}.png", scene(number, size=110)[1][:, :70])
    text, _, findings = found(tmp_path / "set")
    assert list(findings) == ["not_square"]
    assert "all 5 images are far from square" in text
