from __future__ import annotations

import re

import pytest

from support.scenes import names, save, scene, two_folders


@pytest.mark.parametrize("shift", [(5, 0), (-8, 6)])
def test_a_shift_that_all_pairs_share_is_measured(found, tmp_path, shift):
    root = two_folders(tmp_path / "set", 16, size=128, shift=shift)
    _, _, findings = found(root)
    assert list(findings) == ["shift"]
    said = findings["shift"]["message"]
    ways = {way: float(by) for by, way in re.findall(r"([\d.]+) pixels (right|left|down|up)", said)}
    measured = (ways.get("right", 0) - ways.get("left", 0), ways.get("down", 0) - ways.get("up", 0))
    assert measured == pytest.approx(shift, abs=0.5)


def test_pairs_of_unrelated_images_are_reported(found, tmp_path):
    root = tmp_path / "set"
    for number in range(50):  # as where one folder's names count from 1, the other's from 0
        save(root / "A" / f"{number}.png", scene(number)[0])
        save(root / "B" / f"{number}.png", scene(number + 1)[1])
    assert list(found(root)[2]) == ["unrelated"]


def test_a_pair_shifted_unlike_the_others_is_named(found, tmp_path):
    root = two_folders(tmp_path / "set", 16, size=128)
    save(root / "B/7.png", scene(7, size=128, shift=(12, -9))[1])
    text, _, findings = found(root)
    assert list(findings) == ["outlier"]
    assert names(findings["outlier"], root) == [["A/7.png", "B/7.png"]]
    assert "1 pair is shifted unlike the others (B against A)" in text
