from __future__ import annotations

import numpy as np
from PIL import Image

from support.scenes import SIZE, names, photos, save, scene, two_folders


def test_grey_images_among_colour_ones_and_all_grey(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    save(root / "B/6.png", scene(6)[1][..., 1])
    _, _, findings = found(root)
    assert list(findings) == ["grey_mix"]
    assert names(findings["grey_mix"], root) == [["B/6.png"]]
    assert findings["grey_mix"]["message"] == "1 of 9 images of B is grey, the others in colour"
    for path in (root / "B").iterdir():
        Image.open(path).convert("L").convert("RGB" if path.stem > "4" else "L").save(path)
    _, _, findings = found(root)
    assert list(findings) == ["all_grey"]
    assert findings["all_grey"]["advice"] == "train with channels=(3, 1)"
    assert found(root, flags=["--channels", "3", "1"])[2] == {}


def test_depths_that_are_mixed_and_deep_images_that_are_dark(found, tmp_path):
    root = tmp_path / "set"
    for number in range(6):
        grey = scene(number)[1][..., 0].astype(np.uint16)
        save(root / f"{number}.png", grey * 257)
    channels = ["--channels", "1", "1"]
    assert found(root, flags=channels)[2] == {}
    save(root / "2.png", scene(2)[1][..., 0])
    _, _, findings = found(root, flags=channels)
    assert list(findings) == ["depth_mix"]
    assert names(findings["depth_mix"], root) == [["2.png"]]
    for number in range(6):
        save(root / f"{number}.png", scene(number)[1][..., 0].astype(np.uint16) * 16)
    _, _, findings = found(root, flags=channels)
    assert list(findings) == ["dark"]
    assert "6.2% of white" in findings["dark"]["message"]


def test_other_channels_than_grey_and_colour(found, tmp_path):
    for number in range(9):
        a, b = scene(number)
        save(tmp_path / "set/B" / f"{number}.png", b)
        (tmp_path / "set/A").mkdir(exist_ok=True)
        np.save(tmp_path / "set/A" / f"{number}.npy", np.concatenate([a, a[..., :2]], axis=-1))
    _, _, findings = found(tmp_path / "set")
    assert findings["channels"]["message"] == "all images of A have 5 channels, but channels asks for 3"
    assert found(tmp_path / "set", flags=["--channels", "5", "3"])[2] == {}
    np.save(tmp_path / "set/A/3.npy", scene(3)[0])
    _, _, findings = found(tmp_path / "set")
    assert list(findings) == ["channel_mix"]
    assert names(findings["channel_mix"], tmp_path / "set") == [["A/3.npy"]]


def test_transparent_images_and_files_of_several(found, tmp_path):
    root = tmp_path / "set"
    photos(root, 5)
    opaque, clear = np.full((2, SIZE, SIZE, 1), 255, np.uint8)
    clear[:9] = 0
    save(root / "p1.png", np.concatenate([scene(1)[1], opaque], axis=-1))
    save(root / "p2.png", np.concatenate([scene(2)[1], clear], axis=-1))
    film = [Image.fromarray(scene(seed)[1]) for seed in (70, 71, 72)]
    film[0].save(root / "film.tif", save_all=True, append_images=film[1:])
    text, _, findings = found(root)
    assert names(findings["transparent"], root) == [["p2.png"]]
    assert names(findings["frames"], root) == [["film.tif"]]
    assert "film.tif: 3 images" in text
    assert len(findings) == 2
    assert list(found(root, flags=["--channels", "4", "4"])[2]) == ["frames"]
