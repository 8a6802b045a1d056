"""Training samples from shards: their order, and that they are those of a folder."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from i2i.data import ImageDataset, find_layout, load
from i2i.data.layout import Layout
from i2i.data.shards import ShardCache
from i2i.data.shards.images import GROUP, Shard, ShardImages, beside
from i2i.data.shards.index import scan
from i2i.errors import ImageError
from support.datasets import assert_equal
from support.images import noise
from support.shards import pair_shards, png, write_tar


def images_of(counts: list[int]) -> ShardImages:
    """Images in shards that are never read."""
    shards = [Shard(f"{number}.tar", 10**6, "", ShardCache(Path("none"))) for number in range(len(counts))]
    offsets = np.concatenate([512 * (1 + np.arange(count)) for count in counts])
    return ShardImages(shards, counts, offsets, *2 * [np.ones(len(offsets), np.int64)], where="", names="")


def of_layout(layout: Layout, **options: Any) -> ImageDataset:
    common: dict[str, Any] = {"paired": layout.matched != "unpaired", "image_size": 8, "load_size": 10, "seed": 3}
    return ImageDataset(layout.train, **{**common, **options})


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(0, 7), min_size=1, max_size=40).filter(any), seed=st.integers(0, 2**32))
def test_an_epoch_is_every_sample_once_and_needs_each_shard_in_one_group(counts: list[int], seed: int) -> None:
    images = images_of(counts)
    order = images.order(np.random.default_rng(seed))
    assert sorted(order) == list(range(sum(counts)))
    shards = [images[int(index)].file.shard for index in order]
    first, last = (
        {shard: n for n, shard in entries} for entries in (reversed([*enumerate(shards)]), enumerate(shards))
    )
    for position in range(len(shards)):
        open_now = [shard for shard in first if first[shard] <= position <= last[shard]]
        assert len(open_now) <= GROUP


def test_each_epoch_has_another_order_of_shards_and_samples() -> None:
    images = images_of([10] * 20)
    one, two = (images.order(np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one, two)
    assert {int(index) // 10 for index in one[:80]} != {int(index) // 10 for index in two[:80]}
    assert np.abs(np.diff(one[:80])).mean() > 20  # samples of different shards follow each other


def test_an_index_beyond_the_end_is_refused() -> None:
    images = images_of([0, 2, 0, 3])
    assert images[-1] == images[4]
    assert [images[n].file.shard.url for n in range(5)] == ["1.tar", "1.tar", "3.tar", "3.tar", "3.tar"]
    with pytest.raises(IndexError):
        images[5]


@pytest.mark.parametrize("matched", ["name", "halves"])
def test_samples_of_up_to_eight_shards_are_those_of_the_folder(tmp_path: Path, matched: str) -> None:
    names = ("{:03}.png",) if matched == "halves" else ("a/{:03}.png", "b/{:03}.png")
    members: dict[str, bytes] = {}
    for number in range(7):
        for name in names:
            path = tmp_path / "folder" / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise(20, 44, 3, seed=number + ord(name[0]))).save(path)
            stem, kind = f"{number:03}", name[0] if matched == "name" else ""
            members[f"{stem}.{kind}.png" if kind else f"{stem}.png"] = path.read_bytes()
    items, step = list(members.items()), 3 * len(names)
    for shard, start in enumerate(range(0, len(items), step)):
        write_tar(tmp_path / "shards" / f"{shard}.tar", dict(items[start : start + step]))
    layouts = [find_layout([tmp_path / kind], data="paired") for kind in ("folder", "shards")]
    assert [layout.matched for layout in layouts] == [matched, matched]
    options: dict[str, Any] = {"augment": ("flip", "affine", "colour"), "cache_bytes": 10**6}
    folder, shards = (of_layout(layout, **options) for layout in layouts)
    for position in range(20):
        assert_equal(folder[position], shards[position])
    assert_equal(folder.fixed(3), shards.fixed(3))
    assert folder.depths() == shards.depths() == (8, 8)


def streamed(dataset: ImageDataset, **options: Any) -> torch.Tensor:
    batches = load(dataset, **{"batch_size": 4, "start": 0, "steps": 12, "workers": 0, **options})
    return torch.cat([torch.stack([batch["a"], batch["b"]]) for batch in batches], dim=1)


def test_two_workers_two_ranks_and_a_resumed_run_see_the_same_samples(tmp_path: Path) -> None:
    pair_shards(tmp_path, [3, 2, 4] * 4)
    dataset = of_layout(find_layout([tmp_path], data="paired"), augment=("flip",))
    whole = streamed(dataset)
    assert len(dataset.split.b.shards) > GROUP  # type: ignore[attr-defined]
    assert torch.equal(whole, streamed(dataset, workers=2))
    assert torch.equal(whole[:, 5 * 4 :], streamed(dataset, start=5))
    ranks = [streamed(dataset, share=(rank, 2)).unflatten(1, (12, 2)) for rank in range(2)]
    assert torch.equal(whole, torch.cat(ranks, dim=2).flatten(1, 2))
    levels = ((whole[0, :36, 0, 0, 0] + 1) * 127.5).round()
    assert sorted(levels.tolist()) == list(range(36))


def test_unpaired_sets_are_shuffled_separately(tmp_path: Path) -> None:
    pair_shards(tmp_path, [2] * 10)
    dataset = of_layout(find_layout([tmp_path], data="unpaired"))
    found = streamed(dataset, batch_size=20, steps=1)
    a, b = ((found[domain, :, 0, 0, 0] + 1) * 127.5 for domain in range(2))
    assert sorted(a.round().tolist()) == list(range(20))
    assert (a + b != 255).any()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (png(5)[:-20], "1.b.png: truncated"),
        (b"GIF87a", "1.b.png: "),
        (b"", "1.b.png: "),
        (b"text", "1.b.png: "),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_with_its_shard(tmp_path: Path, damage: bytes, message: str, workers: int) -> None:
    write_tar(tmp_path / "0.tar", {"1.a.png": png(1), "1.b.png": damage})
    dataset = of_layout(find_layout([tmp_path], data="paired"))
    with pytest.raises(ImageError) as refused:
        next(load(dataset, batch_size=1, start=0, steps=1, workers=workers))
    assert str(refused.value).startswith(f"{tmp_path}/0.tar: {message}")


def test_an_image_that_would_be_too_large_is_not_read(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"1.png": bytes(65 * 2**20)})
    dataset = of_layout(find_layout([tmp_path], data="single"), max_megapixels=0.001)
    with pytest.raises(ImageError, match=r"0\.tar: 1\.png: a file of 68 MB, more than the 67 MB"):
        dataset.fixed(1)


def test_a_shard_that_shrinks_or_vanishes_during_training_is_named(tmp_path: Path) -> None:
    (path,) = pair_shards(tmp_path, [2])
    dataset = of_layout(find_layout([path], data="paired"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"0\.tar: it ends before byte \d+; it has changed since it was indexed"):
        dataset.fixed(2)
    path.unlink()
    with pytest.raises(ImageError, match=r"0\.tar: No such file"):
        dataset.fixed(2)


@pytest.mark.parametrize("older", [True, False])
def test_an_index_of_a_shard_that_was_written_again_gives_no_wrong_images(tmp_path: Path, older: bool) -> None:
    members = {"0.a.png": png(1), "0.b.png": png(2), "1.a.png": png(3), "1.b.png": png(4)}
    path = write_tar(tmp_path / "0.tar", members)
    index = Path(beside(str(path)))
    index.write_bytes(scan(path).to_json(shard_size=path.stat().st_size))
    size = path.stat().st_size
    write_tar(path, dict(reversed(members.items())))
    assert path.stat().st_size == size
    if older:  # by its time, the index is seen to be of the shard before
        os.utime(index, (1, 1))
        fixed = of_layout(find_layout([path], data="paired")).fixed(2)
        assert ((fixed["a"][:, 0, 0, 0] + 1) * 127.5).round().tolist() in ([1, 3], [3, 1])
        return
    os.utime(index, (2**33, 2**33))
    with pytest.raises(ImageError, match=r"0\.tar: it has changed since it was indexed; remove the index beside it"):
        of_layout(find_layout([path], data="paired")).fixed(2)
    index.unlink()
    fixed = of_layout(find_layout([path], data="paired")).fixed(2)
    assert ((fixed["a"][:, 0, 0, 0] + 1) * 127.5).round().tolist() in ([1, 3], [3, 1])


def test_a_dataset_of_shards_can_be_pickled_for_workers_that_are_spawned(tmp_path: Path) -> None:
    pair_shards(tmp_path, [2, 3])
    dataset = of_layout(find_layout([tmp_path], data="paired"))
    assert_equal(dataset[3], pickle.loads(pickle.dumps(dataset))[3])
