"""What shards hold, and which of them are held out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2i.cli import main
from i2i.cli.flag_hints import hint
from i2i.data import ImageDataset, find_layout
from i2i.data.layout import Layout
from i2i.data.shards import is_shards
from i2i.data.shards.storage import expand
from i2i.errors import UsageError
from support.shards import pair_shards, png, write_tar


def sizes(layout: Layout) -> tuple[int, int, int, int]:
    held_out = layout.validation
    of_held_out = (len(held_out.a), len(held_out.b)) if held_out else (0, 0)
    return len(layout.train.a), len(layout.train.b), *of_held_out


def levels(images: Any) -> list[int]:
    """The level of each image, as its file holds it."""
    return [int(source.of(source.file.read(max_megapixels=1).pixels)[0, 0, 0]) for source in images]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("train-{08..11}.tar", ["train-08.tar", "train-09.tar", "train-10.tar", "train-11.tar"]),
        ("{a,b}-{1..2}", ["a-1", "a-2", "b-1", "b-2"]),
        ("{train-{0..1},val-{0..0}}.tar", ["train-0.tar", "train-1.tar", "val-0.tar"]),
        ("plain.tar", ["plain.tar"]),
    ],
)
def test_braces_stand_for_numbers_and_words(pattern: str, found: list[str]) -> None:
    assert sorted(expand(pattern)) == found


@pytest.mark.parametrize("pattern", ["x-{9..1}.tar", "x-{0..99999999999}.tar"])
def test_braces_that_are_no_range_are_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="no range of numbers"):
        expand(pattern)


@pytest.mark.parametrize("given", ["", "train-{000000..000001}.tar", "train-*.tar", "*.tar", "train-00000?.tar"])
def test_pairs_are_found_by_folder_glob_and_braces_with_those_held_out_beside(tmp_path: Path, given: str) -> None:
    pair_shards(tmp_path, [3, 2])
    pair_shards(tmp_path, [2], split="val", first=5)
    pair_shards(tmp_path, [1], split="test", first=9)
    layout = find_layout([tmp_path / given], data="paired")
    assert sizes(layout) == (5, 5, 2, 2)
    assert (layout.matched, layout.domains) == ("name", ("A", "B"))
    assert levels(layout.train.a) == [0, 1, 2, 3, 4]
    assert layout.validation
    assert (levels(layout.validation.b), layout.validation.name) == ([250, 249], "val")
    assert layout.description.startswith(f"input A = *.a.* of {tmp_path}/train-00000*.tar (2 shards), target B = ")
    assert layout.description.endswith("(5 pairs)")


def test_held_out_shards_are_found_in_a_folder_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    pair_shards(tmp_path / "a[1]", [2])
    pair_shards(tmp_path / "a[1]", [1], split="val")
    assert sizes(find_layout([tmp_path / "a[1]" / "train-000000.tar"], data="paired")) == (2, 2, 1, 1)


def test_splits_may_be_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_tar(tmp_path / split / "0.tar", {"1.a.png": png(1), "1.b.png": png(2)})
    layout = find_layout([tmp_path], data="paired")
    assert sizes(layout) == (1, 1, 1, 1)


def test_held_out_shards_alone_are_scored_but_not_trained_on(tmp_path: Path) -> None:
    (path,) = pair_shards(tmp_path, [2], split="test")
    assert sizes(find_layout([path], data="paired", training=False)) == (0, 0, 2, 2)
    with pytest.raises(UsageError, match="only held-out images"):
        find_layout([path], data="paired")


def test_partners_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    names = ["2.b.png", "1.a.png", "x/1.b.png", "2.a.png", "x/1.a.png", "1.b.png", "1.json"]
    write_tar(tmp_path / "0.tar", {name: png(index) for index, name in enumerate(names)})
    layout = find_layout([tmp_path], data="paired")
    pairs = set(zip(levels(layout.train.a), levels(layout.train.b), strict=True))
    assert pairs == {(1, 5), (3, 0), (4, 2)}


def test_named_domains_are_ordered_and_swapped_as_folders_are(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"1.photo.png": png(1), "1.sketch.png": png(2)})
    layout = find_layout([tmp_path], data="paired")
    assert (layout.domains, levels(layout.train.a)) == (("sketch", "photo"), [2])
    layout = find_layout([tmp_path], data="paired", swap=True)
    assert (layout.domains, levels(layout.train.a)) == (("photo", "sketch"), [1])
    layout = find_layout([tmp_path], data="paired", domains=("photo", "sketch"))
    assert levels(layout.train.a) == [1]


def test_side_by_side_images_are_halved(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"1.png": png(3, (24, 12)), "2.png": png(4, (13, 12))})
    layout = find_layout([tmp_path], data="paired")
    assert layout.matched == "halves"
    images = ImageDataset(layout.train, paired=True, image_size=8, load_size=8)
    assert images.fixed(1)["a"].shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match=r"0\.tar: 2\.png is 13 x 12 pixels: not two images side by side"):
        images.fixed(2)


def test_two_sets_are_shards_of_a_and_b_or_two_paths(tmp_path: Path) -> None:
    write_tar(tmp_path / "trainA-0.tar", {f"{n}.png": png(n) for n in range(3)})
    write_tar(tmp_path / "trainB-0.tar", {f"{n}.png": png(n) for n in range(10, 14)})
    write_tar(tmp_path / "testA-0.tar", {"1.png": png(1)})
    write_tar(tmp_path / "testB-0.tar", {"1.png": png(1)})
    assert sizes(find_layout([tmp_path], data="unpaired")) == (3, 4, 1, 1)
    two = find_layout([tmp_path / "trainA-0.tar", tmp_path / "trainB-*.tar"], data="unpaired")
    assert (two.matched, levels(two.train.b)) == ("unpaired", [10, 11, 12, 13])
    assert sizes(two) == (3, 4, 1, 1)
    with pytest.raises(UsageError, match="put both images of a pair into one shard"):
        find_layout([tmp_path], data="paired")
    with pytest.raises(UsageError, match="expected both of A and of B"):
        find_layout([tmp_path], data="single")
    shutil.move(tmp_path / "trainB-0.tar", tmp_path / "other-0.tar")
    with pytest.raises(UsageError, match="expected both of A and of B"):
        find_layout([tmp_path], data="unpaired")


def test_two_paths_have_the_held_out_shards_of_their_own_folders(tmp_path: Path) -> None:
    for number, folder in enumerate(("horses", "zebras"), start=1):
        for split in ("train", "val"):
            write_tar(tmp_path / folder / f"{split}-0.tar", {f"{n}.png": png(n) for n in range(number)})
    given = [tmp_path / folder / "train-*.tar" for folder in ("horses", "zebras")]
    assert sizes(find_layout(given, data="unpaired")) == (1, 2, 1, 2)
    assert sizes(find_layout([tmp_path / "horses", tmp_path / "zebras"], data="unpaired")) == (1, 2, 1, 2)
    for name in ("one", "two", "val"):
        write_tar(tmp_path / "both" / f"{name}-0.tar", {"1.png": png(1)})
    assert sizes(find_layout([tmp_path / "both/one-0.tar", tmp_path / "both/two-0.tar"], data="unpaired")) == (
        1,
        1,
        0,
        0,
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: no shards"):
        find_layout([tmp_path / "horses", tmp_path / "empty"], data="unpaired")


def test_pairs_are_two_sets_for_methods_without_pairs(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"1.a.png": png(1), "1.b.png": png(2), "2.a.png": png(3)})
    assert sizes(find_layout([tmp_path], data="unpaired")) == (2, 1, 0, 0)
    with pytest.raises(UsageError, match=r"1 sample without a partner, such as 2, which has 'a' and no 'b'"):
        find_layout([tmp_path], data="paired")


def test_a_single_set_is_all_images(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"1.a.png": png(1), "x/2.png": png(2)})
    layout = find_layout([tmp_path], data="single")
    assert (layout.matched, levels(layout.train.b), layout.train.a) == ("single", [1, 2], ())
    assert "a single set of 2 images" in layout.description
    for split in ("train", "val"):
        write_tar(tmp_path / "faces" / split / "0.tar", {"1.png": png(1)})
    layout = find_layout([tmp_path / "faces"], data="single")
    assert (layout.domains, sizes(layout)) == (("latent", "faces"), (0, 1, 0, 1))
    with pytest.raises(UsageError, match="labels"):
        find_layout([tmp_path], data="single", labels=True)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.a.png": 1, "1.b.png": 2, "1.c.png": 3}, r"images named like 000017\.a\.png, 000017\.b\.png, 000017\.c"),
        ({"1.a.png": 1, "1.png": 2}, r"images named like 000017\.png, 000017\.a\.png"),
        ({"1.a.png": 1}, r"images named like 000017\.a\.png; expected pairs"),
        ({"1.txt": 1}, "images named like none; expected pairs"),
        ({"1.a.png": 1, "1.a.jpg": 2, "1.b.png": 3}, r"two images for the sample 1; the second is 1\.a\.jpg"),
    ],
)
def test_samples_that_are_no_pairs_are_refused_with_what_is_expected(
    tmp_path: Path, files: dict[str, int], message: str
) -> None:
    write_tar(tmp_path / "0.tar", {name: png(level) for name, level in files.items()})
    with pytest.raises(UsageError, match=message):
        find_layout([tmp_path], data="paired")


def test_a_shard_that_lacks_a_domain_is_named(tmp_path: Path) -> None:
    pair_shards(tmp_path, [2])
    write_tar(tmp_path / "train-1.tar", {"1.a.png": png(1)})
    with pytest.raises(UsageError, match=r"train-1\.tar: images of 'a' or of 'b' alone"):
        find_layout([tmp_path], data="paired")


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"7\.tar: there is no such shard"):
        find_layout([tmp_path / "7.tar"], data="paired")
    with pytest.raises(UsageError, match=r"no shards \(\.tar\)"):
        find_layout([tmp_path / "*.tar"], data="paired")
    (tmp_path / "0.tar").write_bytes(b"no tar")
    with pytest.raises(UsageError, match=r"0\.tar: not a tar file"):
        find_layout([tmp_path], data="paired")


def test_a_folder_of_images_beside_its_archive_is_no_folder_of_shards(tmp_path: Path, pairs: Path) -> None:
    shutil.copytree(pairs, tmp_path / "data")
    write_tar(tmp_path / "data" / "download.tar", {})
    assert not is_shards(tmp_path / "data")
    assert find_layout([tmp_path / "data"], data="paired").matched == "halves"


def test_the_index_of_an_earlier_run_is_used_until_the_shard_changes(tmp_path: Path, cache: Path) -> None:
    (path,) = pair_shards(tmp_path / "shards", [2])
    find_layout([path], data="paired")
    (kept,) = cache.glob("*.json")
    before = kept.stat().st_mtime_ns
    find_layout([path], data="paired")
    assert kept.stat().st_mtime_ns == before
    kept.write_text("damaged")
    assert sizes(find_layout([path], data="paired"))[0] == 2
    pair_shards(tmp_path / "shards", [3])
    assert sizes(find_layout([path], data="paired"))[0] == 3
    assert len(list(cache.glob("*.json"))) == 2


def test_shards_are_not_checked_and_the_flag_of_other_programs_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair_shards(tmp_path, [1])
    assert main(["check", str(tmp_path)]) == 2
    assert "i2i check doesn't read shards; unpack a few of them" in capsys.readouterr().err
    assert "DATA without a flag" in (hint("--shards", command="train pix2pix") or "")


def test_an_index_takes_a_few_bytes_per_image_however_many(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{number}.a.png": b"" for number in range(500)} | {"0.b.png": b""})
    images = find_layout([tmp_path], data="unpaired").train.a
    arrays = [value for value in vars(images).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) <= 20 * len(images) + 16
