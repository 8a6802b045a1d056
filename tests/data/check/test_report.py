from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import chain

import pytest

from i2i.cli import main
from i2i.data.check.report import METHODS
from i2i.methods import methods
from support.scenes import SIZE, lay_out, names, photos, side_by_side, two_folders


@pytest.mark.parametrize(
    ("kind", "data", "first", "counts"),
    [
        ("side by side", "paired", "i2i train pix2pix", [[10, 10], [2, 2]]),
        ("two folders", "paired", "i2i train pix2pix", [[10, 10], []]),
        ("unpaired", "unpaired", "i2i train cyclegan", [[6, 5], []]),
        ("classes", "single", "i2i train gan", [[9], []]),
        ("one set", "single", "i2i train gan", [[7], []]),
    ],
)
def test_a_sound_data_set_has_a_layout_and_no_findings(found, tmp_path, kind, data, first, counts):
    lay_out(tmp_path / "set", kind)
    text, said, findings = found(tmp_path / "set")
    assert findings == {}
    assert text.splitlines()[-1] == "nothing wrong"
    assert said["data"] == data
    assert first in text
    assert ("--labels" in text) == (kind == "classes")
    assert said["classes"] == (["ant", "bee", "cat"] if kind == "classes" else [])
    assert [[one["count"] for one in said["splits"][split] or []] for split in ("train", "held_out")] == counts
    assert said["splits"]["train"][0]["median"] == [SIZE, SIZE]
    assert {"paired": "bicyclegan", "unpaired": "cut", "single": "gan"}[data] in said["methods"]
    assert ("cyclegan" in said["methods"]) == (data != "single")


@pytest.mark.parametrize(
    ("kind", "held_out"), [("side by side", "test"), ("two sets", "val"), ("one set", "test"), ("one set", "val")]
)
def test_a_folder_of_held_out_images_only_is_checked(found, tmp_path, kind, held_out):
    root = tmp_path / "data"
    if kind == "side by side":
        side_by_side(root / held_out, 6)
        says, counts = f"input A = left half, target B = right half of {root}/{held_out}/*.png (6 pairs)", [6, 6]
    elif kind == "two sets":
        photos(root / f"{held_out}A", 6)
        photos(root / f"{held_out}B", 5, start=10)
        for path in (root / f"{held_out}B").iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
        says = f"input A = {root}/{held_out}A (6 images), target B = {root}/{held_out}B (5 images), unpaired"
        counts = [6, 5]
    else:
        photos(root / held_out, 7)
        says, counts = f"{root}/{held_out}: a single set of 7 images", [7]
    text, said, findings = found(root)
    assert said["layout"] == says
    assert [domain["count"] for domain in said["splits"]["held_out"]] == counts
    assert list(findings) == ["held_out_only"]
    assert "train with" not in text
    assert ("score with i2i evaluate MODEL" in " ".join(text.split())) == (kind != "one set")


def test_a_data_set_without_any_readable_file(found, tmp_path):
    for name in ("A/1.png", "B/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"")
    assert list(found(tmp_path / "set")[2]) == ["unreadable"]
    shutil.rmtree(tmp_path / "set" / "B")
    assert list(found(tmp_path / "set/A")[2]) == ["unreadable"]


def test_two_folders_are_given_by_path(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    (root / "B/3.png").unlink()
    text, _, findings = found(root / "A", root / "B")
    assert names(findings["no_partner"], root) == [["A/3.png"]]
    assert f"{root}/A/3.png" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere: there is no such folder"),
        (["a", "b", "c"], "3 data folders given"),
        (["a", "--image-size", "0"], "--image-size"),
        (["a", "--chanels", "1", "1"], "did you mean --channels"),
    ],
)
def test_wrong_usage(words, said, capsys):
    assert main(["check", *words]) == 2
    assert said in capsys.readouterr().err


def test_suggested_methods_learn_from_such_data():
    for data, suggested in METHODS.items():
        assert {methods[name].data for name in suggested} == {data}
    assert set(chain(*METHODS.values())) <= set(methods)


def test_a_check_imports_neither_torch_nor_methods_nor_albumentations(tmp_path):
    root = two_folders(tmp_path / "set", 9)
    script = f"import sys, i2i.cli; code = i2i.cli.main(['check', {str(root)!r}]); print(code, *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *modules = ended.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "i2i.data.check.shifts" in modules
    assert not {"torch", "albumentations", "i2i.methods", "i2i.networks", "i2i.training"} & set(modules)
