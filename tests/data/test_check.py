"""Data sets with known faults, each of which the check names; and sound ones, of which it says nothing."""

from __future__ import annotations

import io
import json
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.data.check import check
from i2i.data.check.alignment import common_shift, correlate
from i2i.data.check.similarity import same, thumbnail

SIZE = 64


def scene(seed, *, size=SIZE, shift=(0, 0)):
    """A drawing of ellipses in flat colours, and a blurred, noisy photo of them, moved right and down by `shift`."""
    rng = np.random.default_rng(seed)
    margin = 16
    whole = size + 2 * margin
    a = np.full((whole, whole, 3), rng.integers(180, 250, 3), np.uint8)
    b = np.full((whole, whole, 3), rng.integers(20, 90, 3), np.uint8)
    for _ in range(14):
        centre, axes = rng.integers(0, whole, 2).tolist(), rng.integers(3, size // 4, 2).tolist()
        angle, colours = float(rng.integers(180)), rng.integers(0, 255, (2, 3)).tolist()
        for canvas, colour in zip((a, b), colours, strict=True):
            cv2.ellipse(canvas, centre, axes, angle, 0, 360, colour, -1)
    b = cv2.GaussianBlur(b, (0, 0), 1.0) + rng.normal(0, 6, b.shape)
    right, down = shift
    b = b[margin - down : margin - down + size, margin - right : margin - right + size]
    return a[margin : margin + size, margin : margin + size], b.clip(0, 255).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photos(folder, count, *, start=0, size=SIZE):
    return [save(folder / f"p{number}.png", scene(start + number, size=size)[1]) for number in range(count)]


def two_folders(root, count, *, shift=(0, 0), size=SIZE):
    for number in range(count):
        a, b = scene(number, size=size, shift=shift)
        save(root / "A" / f"{number}.png", a)
        save(root / "B" / f"{number}.png", b)
    return root


def side_by_side(root, count, *, start=0):
    for number in range(count):
        save(root / f"{number}.png", np.concatenate(scene(start + number), axis=1))
    return root


@pytest.fixture
def found(tmp_path, capsys):
    """Run the command; its exit code, its text, and the findings by kind."""

    def run(*paths, size=SIZE, flags=()):
        file = tmp_path / "findings" / "found.json"
        code = main(["check", *map(str, paths), "--image-size", str(size), "--json", str(file), *flags])
        said = json.loads(file.read_text())
        kinds = [finding["kind"] for finding in said["findings"]]
        assert len(set(kinds)) == len(kinds)
        assert code == int("error" in [finding["severity"] for finding in said["findings"]])
        return capsys.readouterr().out, said, dict(zip(kinds, said["findings"], strict=True))

    return run


def names(finding, root):
    return [[path.removeprefix(f"{root}/") for path in named["paths"]] for named in finding["files"]]


def lay_out(root, kind):
    if kind == "side by side":
        side_by_side(root / "train", 10)
        side_by_side(root / "val", 2, start=20)
    elif kind == "two folders":
        two_folders(root, 10)
    elif kind == "unpaired":
        photos(root / "trainA", 6)
        photos(root / "trainB", 5, start=10)
        for path in (root / "trainB").iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
    elif kind == "classes":
        for index, name in enumerate(("ant", "bee", "cat")):
            photos(root / name, 3, start=10 * index)
    else:
        photos(root, 7)


@pytest.mark.parametrize("kind", ["side by side", "two sets", "one set"])
@pytest.mark.parametrize("held_out", ["test", "val"])
def test_held_out_images_alone_are_checked(found, tmp_path, kind, held_out):
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


def test_names_of_files_and_folders_send_nothing_to_the_terminal(found, tmp_path):
    root = two_folders(tmp_path / "da\x1b[2Jta", 3)
    (root / "A").rename(root / "one\x1b]0;title\x07")
    (root / "B").rename(root / "two\r")
    for name in ("al\x1b[31mone\n.png", "an\x9bother.png"):
        save(root / "two\r" / name, scene(9)[0])
    text, said, findings = found(root)
    assert [letter for letter in text if not (letter.isprintable() or letter == "\n")] == []
    assert r"al\x1b[31mone\n.png" in text
    assert r"two\r" in text
    # JSON holds the names as they are.
    assert said["domains"] == ["one\x1b]0;title\x07", "two\r"]
    assert names(findings["no_partner"], root) == [["two\r/al\x1b[31mone\n.png"], ["two\r/an\x9bother.png"]]


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
def test_of_a_sound_set_the_layout_is_told_and_nothing_else(found, tmp_path, kind, data, first, counts):
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


def test_images_wider_than_high_are_pairs_only_with_a_step_in_the_middle(tmp_path):
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


def test_where_few_names_match_they_are_two_sets_and_a_note_tells_so(found, tmp_path):
    photos(tmp_path / "set/A", 4)
    photos(tmp_path / "set/B", 4, start=10)
    for index, path in enumerate(sorted((tmp_path / "set/B").iterdir())[1:]):
        path.rename(path.with_name(f"q{index}.png"))
    _, said, findings = found(tmp_path / "set")
    assert said["data"] == "unpaired"
    assert list(findings) == ["names"]
    save(tmp_path / "set/B/more.png", scene(90)[1])
    assert found(tmp_path / "set")[2] == {}


def test_two_files_of_one_name(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    save(root / "A" / "4.jpg", scene(70)[0])
    _, _, findings = found(root)
    assert list(findings) == ["same_name"]
    assert names(findings["same_name"], root) == [["A/4.jpg", "A/4.png"]]


def test_what_is_left_out_is_counted(found, tmp_path):
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


def test_a_test_folder_beside_val_has_no_place(found, tmp_path):
    root = tmp_path / "set"
    lay_out(root, "side by side")
    side_by_side(root / "test", 3, start=40)
    text, said, findings = found(root)
    assert list(findings) == ["unused"]
    assert said["left_out"] == {"images": 3}
    assert "           test: 3 images" in text.splitlines()


@pytest.mark.parametrize("kind", ["side by side", "two folders", "unpaired"])
def test_files_that_can_not_be_read_are_named_with_the_reason(found, tmp_path, kind):
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


def test_a_set_of_which_nothing_can_be_read(found, tmp_path):
    for name in ("A/1.png", "B/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"")
    assert list(found(tmp_path / "set")[2]) == ["unreadable"]
    shutil.rmtree(tmp_path / "set" / "B")
    assert list(found(tmp_path / "set/A")[2]) == ["unreadable"]


def test_files_that_are_not_two_images(found, tmp_path):
    root = side_by_side(tmp_path / "set", 9)
    save(root / "odd.png", np.concatenate(scene(40), axis=1)[:, 1:])
    save(root / "one.png", scene(41)[0])
    _, said, findings = found(root)
    assert said["data"] == "paired"
    assert list(findings) == ["not_two"]
    assert names(findings["not_two"], root) == [["odd.png"], ["one.png"]]
    assert [named["detail"] for named in findings["not_two"]["files"]] == ["127 x 64", "64 x 64"]


def test_pairs_of_two_shapes_and_of_two_sizes(found, tmp_path):
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
    assert findings["small"]["do"] == "give --image-size 64"
    save(root / "p3.png", scene(3, size=50)[1])
    text, said, findings = found(root)
    assert names(findings["small"], root) == [["p3.png"]]
    assert findings["small"]["do"] == "remove them, or give --image-size 32"
    assert "1 of 12 images is smaller than 64 pixels" in text
    assert "50 x 50 to 64 x 64 (median 64 x 64)" in text
    assert said["splits"]["train"][0]["smallest"] == [50, 50]


def test_images_far_from_square(found, tmp_path):
    for number in range(5):
        save(tmp_path / "set" / f"{number}.png", scene(number, size=110)[1][:, :70])
    text, _, findings = found(tmp_path / "set")
    assert list(findings) == ["not_square"]
    assert "all 5 images are far from square" in text


def test_grey_images_among_colour_ones_and_all_grey(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    save(root / "B/6.png", scene(6)[1][..., 1])
    _, _, findings = found(root)
    assert list(findings) == ["grey_mix"]
    assert names(findings["grey_mix"], root) == [["B/6.png"]]
    assert findings["grey_mix"]["says"] == "1 of 9 images of B is grey among colour ones"
    for path in (root / "B").iterdir():
        Image.open(path).convert("L").convert("RGB" if path.stem > "4" else "L").save(path)
    _, _, findings = found(root)
    assert list(findings) == ["all_grey"]
    assert findings["all_grey"]["do"] == "give --channels 3 1"
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
    assert "6.2% of white" in findings["dark"]["says"]


def test_other_channels_than_grey_and_colour(found, tmp_path):
    for number in range(9):
        a, b = scene(number)
        save(tmp_path / "set/B" / f"{number}.png", b)
        (tmp_path / "set/A").mkdir(exist_ok=True)
        np.save(tmp_path / "set/A" / f"{number}.npy", np.concatenate([a, a[..., :2]], axis=-1))
    _, _, findings = found(tmp_path / "set")
    assert findings["channels"]["says"] == "all images of A have 5 channels, but --channels asks for 3"
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


def saved_again(pixels, *, size=96, quality=50):
    """Smaller, and as JPEG."""
    small = io.BytesIO()
    Image.fromarray(pixels).resize((size, size)).save(small, "JPEG", quality=quality)
    return np.asarray(Image.open(small))


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


def test_flat_images_are_copies_only_where_they_are_equal(found, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        flat = np.full((SIZE, SIZE, 3), (100 + 9 * number, 80, 90)) + rng.integers(0, 2, (SIZE, SIZE, 3))
        save(tmp_path / "set" / f"{number}.png", flat.astype(np.uint8))
    assert found(tmp_path / "set")[2] == {}
    shutil.copy(tmp_path / "set/2.png", tmp_path / "set/9.png")
    _, _, findings = found(tmp_path / "set")
    assert names(findings["copies"], tmp_path / "set") == [["2.png", "9.png"]]
    assert len(findings) == 1


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize(
    ("again", "kind"), [("AB", "copies"), ("A", "repeated_inputs"), ("B", "repeated_targets"), ("", None)]
)
def test_of_pairs_inputs_targets_or_both_repeat(found, tmp_path, again, kind, near):
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


def test_an_input_both_to_learn_from_and_held_out_is_told(found, tmp_path):
    side_by_side(tmp_path / "set/train", 9)
    (tmp_path / "set/val").mkdir()
    save(tmp_path / "set/val/x.png", np.concatenate([scene(3)[0], scene(60)[1]], axis=1))
    _, _, findings = found(tmp_path / "set")
    assert list(findings) == ["repeated_inputs"]
    assert findings["repeated_inputs"]["says"].endswith("; 1 of them both to learn from and held out")


def test_a_image_in_both_sets_and_a_image_paired_with_itself(found, tmp_path):
    lay_out(tmp_path / "two", "unpaired")
    shutil.copy(tmp_path / "two/trainA/p2.png", tmp_path / "two/trainB/x.png")
    _, _, findings = found(tmp_path / "two")
    assert names(findings["in_both"], tmp_path / "two") == [["trainA/p2.png", "trainB/x.png"]]
    root = two_folders(tmp_path / "set", 9)
    shutil.copy(root / "A/5.png", root / "B/5.png")
    assert names(found(root)[2]["equal_pair"], root) == [["A/5.png", "B/5.png"]]


def test_copies_are_found_among_thousands():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2500, 8, 8, 3)).astype(np.uint8)
    images[2400] = images[7]
    images[2300] = np.clip(images[1100] * 0.8 + 20, 0, 255)
    thumbnails = np.array([thumbnail(image) for image in images])
    groups = same([image.tobytes() for image in images], thumbnails)
    every = np.arange(2500)
    assert np.flatnonzero(groups.exact != every).tolist() == [2400]
    assert np.flatnonzero(groups.near != every).tolist() == [2300, 2400]
    assert (groups.near[2300], groups.near[2400]) == (1100, 7)


@pytest.mark.parametrize("shift", [(5, 0), (0, -3), (-8, 6)])
def test_a_shift_that_all_pairs_share_is_measured(found, tmp_path, shift):
    root = two_folders(tmp_path / "set", 24, size=128, shift=shift)
    _, _, findings = found(root)
    assert list(findings) == ["shift"]
    said = findings["shift"]["says"]
    ways = {way: float(by) for by, way in re.findall(r"([\d.]+) pixels (right|left|down|up)", said)}
    measured = (ways.get("right", 0) - ways.get("left", 0), ways.get("down", 0) - ways.get("up", 0))
    assert measured == pytest.approx(shift, abs=0.5)


def test_a_common_shift_is_measured_with_its_error():
    surfaces = np.array([correlate(*scene(seed, size=128, shift=(7, -4))) for seed in range(32)])
    shift = common_shift(surfaces)
    assert (shift.right * 128, shift.down * 128) == pytest.approx((7, -4), abs=max(0.25, 4 * shift.error * 128))
    assert shift.error * 128 < 0.25
    assert shift.clarity > 20


def test_fine_lines_across_a_long_image_do_not_alias():
    # The image shrinks along one axis and grows along the other.
    a, b = (cv2.resize(x, (1000, 30), interpolation=cv2.INTER_LINEAR) for x in scene(0))
    lined = (a // 2 + 64).astype(np.int16)
    lined[:, ::2] += 60
    lined[:, 1::2] -= 60
    lined = lined.astype(np.uint8)
    assert np.abs(thumbnail(lined) - thumbnail((a // 2 + 64).astype(np.uint8))).max() < 8
    assert np.abs(correlate(lined, b).astype(np.float32) - correlate(a // 2 + 64, b)).max() < 2


def test_images_that_have_nothing_in_common_have_no_shift():
    surfaces = np.array([correlate(scene(seed, size=128)[0], scene(seed + 100, size=128)[1]) for seed in range(32)])
    assert not common_shift(surfaces).clear


def test_pairs_that_do_not_belong_together(found, tmp_path):
    root = two_folders(tmp_path / "set", 60)
    assert found(root)[2] == {}
    for number in range(60):  # as where one folder's names count from 1, the other's from 0
        save(root / "B" / f"{number}.png", scene(number + 1)[1])
    assert list(found(root)[2]) == ["unrelated"]


def test_a_pair_shifted_against_the_rest_is_named(found, tmp_path):
    root = two_folders(tmp_path / "set", 16, size=128)
    save(root / "B/7.png", scene(7, size=128, shift=(12, -9))[1])
    text, _, findings = found(root)
    assert list(findings) == ["stray"]
    assert names(findings["stray"], root) == [["A/7.png", "B/7.png"]]
    assert "1 pair is not like the rest" in text


def test_the_text_fits_a_terminal_and_says_how_many_more(found, tmp_path):
    root = two_folders(tmp_path / "a", 12)
    for path in sorted((root / "A").iterdir())[:7]:
        path.unlink()
    text, _, findings = found(root)
    assert len(findings["no_partner"]["files"]) == 7
    assert "           and 2 more" in text.splitlines()
    lines = [line for line in text.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 100


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


def test_two_paths(found, tmp_path):
    root = two_folders(tmp_path / "set", 9)
    (root / "B/3.png").unlink()
    text, _, findings = found(root / "A", root / "B")
    assert names(findings["no_partner"], root) == [["A/3.png"]]
    assert f"{root}/A/3.png" in text
