from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch

from i2i.data import ShuffledDataset, load
from i2i.data.layout import Source, Split
from i2i.data.reading import read_source
from i2i.errors import UsageError
from i2i.images.arrays import to_pixels
from support.datasets import EVERY, alone, assert_equal, level, make, many, plain, save, stream, twins


def test_every_epoch_shows_every_pair_once_in_a_new_order(tmp_path):
    split = Split(plain(tmp_path / "a", range(0, 80, 10)), plain(tmp_path / "b", range(100, 180, 10)))
    images = make(split)
    assert len(images) == 8
    passes = [stream(images, *range(8 * turn, 8 * turn + 8)) for turn in range(4)]
    for seen in passes:
        assert sorted(seen) == [(i, 100 + i) for i in range(0, 80, 10)]
    assert len({tuple(seen) for seen in passes}) == 4


def test_unpaired_domains_are_shuffled_separately(tmp_path):
    split = Split(plain(tmp_path / "a", range(8)), plain(tmp_path / "b", range(8)))
    images = make(split, paired=False)
    passes = [stream(images, *range(8 * turn, 8 * turn + 8)) for turn in range(3)]
    for seen in passes:
        for domain in zip(*seen, strict=True):
            assert sorted(domain) == list(range(8))
    assert len({tuple(sorted(seen)) for seen in passes}) == 3, "other partners in every pass"
    assert all(any(a != b for a, b in seen) for seen in passes)


@pytest.mark.parametrize("longer", ["a", "b"])
@pytest.mark.parametrize(("count", "times"), [(2, [3, 3]), (4, [1, 1, 2, 2]), (1, [6])])
def test_the_shorter_domain_is_cycled(tmp_path, longer, count, times):
    long, short = plain(tmp_path / "long", range(6)), plain(tmp_path / "short", range(count))
    images = make(Split(long, short) if longer == "a" else Split(short, long), paired=False)
    assert len(images) == 6
    for turn in range(2):
        seen = list(zip(*stream(images, *range(6 * turn, 6 * turn + 6)), strict=True))
        of_long, of_short = seen if longer == "a" else reversed(seen)
        assert sorted(of_long) == list(range(6))
        assert sorted(Counter(of_short).values()) == times


@pytest.mark.parametrize("uncropped_from", [None, 4])
@pytest.mark.parametrize("paired", [True, False])
def test_a_sample_depends_on_seed_and_position_only(tmp_path, paired, uncropped_from):
    split = twins(tmp_path, 3)
    options = {"paired": paired, "image_size": 8, "load_size": 12, "augment": EVERY, "uncropped_from": uncropped_from}
    first = make(split, seed=1, **options)
    samples = [first[position] for position in range(9)]
    again = make(split, seed=1, **options)
    cached = make(split, seed=1, cache_bytes=10**6, **options)
    for position in reversed(range(9)):
        assert_equal(first[position], samples[position])
        assert_equal(again[position], samples[position])
        assert_equal(cached[position], samples[position])
        assert_equal(cached[position], samples[position])
    other = make(split, seed=2, **options)
    assert any(not torch.equal(other[position]["a"], samples[position]["a"]) for position in range(9))


def test_an_image_is_cropped_differently_at_every_position(tmp_path):
    images = make(twins(tmp_path, 1))
    assert len({images[position]["a"].numpy().tobytes() for position in range(20)}) > 8


@pytest.mark.parametrize("cache_bytes", [0, 10**6])
def test_images_are_not_cropped_from_uncropped_from_on(tmp_path, cache_bytes):
    split = twins(tmp_path, 3)
    crops = make(split, cache_bytes=cache_bytes)
    images = make(split, cache_bytes=cache_bytes, uncropped_from=7)
    whole = {tensor.numpy().tobytes() for tensor in crops.fixed(3)["a"]}
    for position in range(7):
        assert torch.equal(images[position]["a"], crops[position]["a"])
        assert images[position]["a"].numpy().tobytes() not in whole
    assert {images[position]["a"].numpy().tobytes() for position in range(7, 7 + 6)} == whole
    mirrored = make(split, uncropped_from=7, augment=("flip",))
    seen = [mirrored[position]["a"] for position in range(7, 47)]
    straight = sum(x.numpy().tobytes() in whole for x in seen)
    assert straight + sum(x.flip(2).numpy().tobytes() in whole for x in seen) == 40
    assert 8 < straight < 32  # 20 and nearly four standard deviations


@pytest.mark.parametrize("augment", [(), ("flip",), ("vertical_flip",), ("rotate90",), ("affine",), EVERY[:-1]])
def test_pairs_are_augmented_alike(tmp_path, augment):
    images = make(twins(tmp_path, 2), augment=augment)
    for position in range(12):
        sample = images[position]
        assert torch.equal(sample["a"], sample["b"])


@pytest.mark.parametrize("paired", [True, False])
def test_colour_changes_only_the_input(tmp_path, paired):
    split = twins(tmp_path, 2)
    coloured, as_is = (make(split, paired=paired, augment=augment) for augment in (("flip", "colour"), ("flip",)))
    pairs = [(coloured[position], as_is[position]) for position in range(20)]
    assert all(torch.equal(one["b"], two["b"]) for one, two in pairs)
    changed = sum(not torch.equal(one["a"], two["a"]) for one, two in pairs)
    assert 3 < changed < 17, "about half of the inputs"


def test_unpaired_images_are_augmented_separately(tmp_path):
    split = twins(tmp_path, 1)
    images = make(Split(split.a, split.a), paired=False)
    samples = [images[position] for position in range(10)]
    assert any(not torch.equal(sample["a"], sample["b"]) for sample in samples)


@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("paired", [True, False])
def test_samples_have_the_requested_channels_and_size(tmp_path, channels, paired):
    for kind, split in (
        ("colour", twins(tmp_path / "colour", 2)),
        ("grey", Split(plain(tmp_path / "a", [3, 250]), plain(tmp_path / "b", [3, 250], shape=(5, 30)))),
    ):
        images = make(split, paired=paired, channels=channels, augment=EVERY)
        for position in range(4):
            for key, count in zip("ab", channels, strict=True):
                x = images[position][key]
                assert (x.shape, x.dtype) == ((count, 8, 8), torch.float32), kind
                assert -1 <= x.min() <= x.max() <= 1


def test_sixteen_bit_images_have_the_same_values(tmp_path):
    deep = Source(save(tmp_path / "deep.png", np.full((12, 12), 100 * 257, np.uint16)))
    (shallow,) = plain(tmp_path / "shallow", [100])
    sample = make(Split((deep,), (shallow,)))[0]
    assert torch.allclose(sample["a"], torch.full((3, 8, 8), 100 / 127.5 - 1), atol=1e-6)
    assert torch.allclose(sample["a"], sample["b"], atol=1e-6)


def test_fixed_images_are_unchanged_and_spread_over_the_split(tmp_path):
    split = Split(plain(tmp_path / "a", range(0, 80, 10)), plain(tmp_path / "b", [7, 8]))
    images = make(split, paired=False, augment=EVERY, channels=(3, 1))
    batch = images.fixed(4)
    assert (batch["a"].shape, batch["b"].shape) == ((4, 3, 8, 8), (4, 1, 8, 8))
    assert [level(x) for x in batch["a"]] == [0, 20, 40, 60]
    assert [level(x) for x in batch["b"]] == [7, 7, 8, 8]
    images[0]
    assert_equal(images.fixed(4), batch)


def test_fixed_images_are_resized_not_cropped(tmp_path):
    # Quarters of levels 0, 40, 80 and 120 stay quarters, but for the edges between them.
    quarters = np.kron(np.array([[0, 40], [80, 120]], np.uint8), np.ones((8, 8), np.uint8))
    split = Split((Source(save(tmp_path / "x.png", quarters)),) * 2, plain(tmp_path / "b", [1, 2]))
    shown = to_pixels(make(split, augment=EVERY).fixed(1)["a"][0])[..., 0]
    assert np.abs(shown - np.kron(np.array([[0, 40], [80, 120]]), np.ones((4, 4)))).max() < 10


def test_more_fixed_images_than_there_are_repeat(tmp_path):
    split = Split(plain(tmp_path / "a", [10, 20]), plain(tmp_path / "b", [30, 40]))
    batch = make(split).fixed(4)
    assert [(level(a), level(b)) for a, b in zip(batch["a"], batch["b"], strict=True)] == [(10, 30)] * 2 + [
        (20, 40)
    ] * 2


# An image loaded at 12 x 12 x 1 is 144 bytes.
@pytest.mark.parametrize(("room", "kept"), [(0, 0), (143, 0), (144, 1), (144 * 3 + 143, 3), (144 * 6, 6), (10**6, 6)])
def test_the_cache_holds_as_many_images_as_it_has_bytes_for(tmp_path, room, kept):
    sources = plain(tmp_path / "images", range(6))
    images = make(Split(sources, sources), cache_bytes=room)
    for position in range(12):
        images[position]
    for source in sources:
        source.path.unlink()
    # The last images decoded are remembered too; these take their place.
    for source in plain(tmp_path / "others", range(5)):
        read_source(source, channels=3)

    def is_kept(position):
        try:
            return bool(images[position])
        except ValueError:
            return False

    assert sum(is_kept(position) for position in range(12, 18)) == kept


def test_the_cache_gives_its_room_to_whole_images_once_crops_end(tmp_path):
    sources = plain(tmp_path / "images", range(6))
    images = make(Split(sources, sources), cache_bytes=144 * 3, uncropped_from=6)
    for position in range(18):
        images[position]
    for source in sources:
        source.path.unlink()
    for source in plain(tmp_path / "others", range(5)):
        read_source(source, channels=3)
    assert len([images[position] for position in range(18, 24)]) == 6  # all six, at 8 x 8 x 1


def test_every_epoch_of_a_single_set_shows_all_images(tmp_path):
    images = make(alone(tmp_path, range(0, 80, 10)))
    assert len(images) == 8
    passes = [[level(images[8 * turn + index]["b"]) for index in range(8)] for turn in range(4)]
    for seen in passes:
        assert sorted(seen) == list(range(0, 80, 10))
    assert len({tuple(seen) for seen in passes}) == 4, "an order of its own in each pass"
    assert images[0].keys() == {"b"}


def test_each_image_comes_with_its_label(tmp_path):
    labels = {0: 2, 10: 0, 20: 2, 30: 1, 40: 0}
    images = make(alone(tmp_path, labels, labels=labels.values()))
    for position in range(15):
        sample = images[position]
        assert sample.keys() == {"b", "label"}
        assert sample["label"].item() == labels[level(sample["b"])]
        assert (sample["label"].shape, sample["label"].dtype) == ((), torch.int64)


@pytest.mark.parametrize("labels", [(), (1, 0, 1)])
@pytest.mark.parametrize("channels", [(3, 3), (3, 1)])
def test_a_single_set_has_the_channels_of_b(tmp_path, channels, labels):
    images = make(alone(tmp_path, [3, 100, 250], labels=labels), channels=channels, augment=("flip", "rotate90"))
    for position in range(4):
        b = images[position]["b"]
        assert (b.shape, b.dtype) == ((channels[1], 8, 8), torch.float32)
    batch = images.fixed(2)
    assert batch["b"].shape == (2, channels[1], 8, 8)
    assert ("label" in batch) == bool(labels)


def test_fixed_images_of_a_single_set_are_spread_and_have_their_labels(tmp_path):
    images = make(alone(tmp_path, range(0, 80, 10), labels=(0, 0, 0, 1, 1, 2, 2, 2)), augment=EVERY)
    batch = images.fixed(4)
    assert [level(x) for x in batch["b"]] == [0, 20, 40, 60]
    assert batch["label"].tolist() == [0, 0, 1, 2]
    assert [level(x) for x in images.fixed(16)["b"]] == [10 * (index // 2) for index in range(16)]


def test_crops_and_flips_of_a_single_set_depend_on_the_seed(tmp_path):
    split = Split((), twins(tmp_path, 2).b)
    first, again, other = (make(split, augment=("flip",), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[index]["b"], again[index]["b"]) for index in range(8))
    assert any(not torch.equal(first[index]["b"], other[index]["b"]) for index in range(8))
    assert len({first[index]["b"].numpy().tobytes() for index in range(0, 20, 2)}) > 4


def test_colour_does_not_change_a_single_set(tmp_path):
    # It is of the input, and a single set is the output.
    split = Split((), twins(tmp_path, 2).b)
    coloured, as_is = (make(split, augment=augment) for augment in (("flip", "colour"), ("flip",)))
    assert all(torch.equal(coloured[index]["b"], as_is[index]["b"]) for index in range(12))


@pytest.mark.parametrize(
    ("channels", "suffix", "dtype", "paired"),
    [
        ((1, 3), ".tif", np.uint8, False),
        ((6, 2), ".npy", np.uint16, True),
        ((4, 13), ".tif", np.float32, True),
        ((13, 1), ".npy", np.uint8, True),
        ((3, 6), ".tif", np.uint16, False),
    ],
)
def test_samples_have_as_many_channels_as_their_files(tmp_path, channels, suffix, dtype, paired):
    split = Split(
        *(many(tmp_path / name, count, dtype, suffix=suffix) for name, count in zip("ab", channels, strict=True))
    )
    images = make(split, paired=paired, channels=channels, augment=EVERY)
    for position in range(6):
        for name, count in zip("ab", channels, strict=True):
            x = images[position][name]
            assert (x.shape, x.dtype) == ((count, 8, 8), torch.float32)
            assert -1 <= x.min() < x.max() <= 1
    assert images.depths() == (8 * np.dtype(dtype).itemsize,) * 2
    assert images.fixed(2)["a"].shape == (2, channels[0], 8, 8)


@pytest.mark.parametrize(
    ("dtypes", "depths"),
    [((np.uint8, np.uint16), (8, 16)), ((np.uint16, np.float32), (16, 32)), ((np.uint8,) * 2, (8, 8))],
)
def test_depths_are_those_of_each_domain(tmp_path, dtypes, depths):
    split = Split(many(tmp_path / "a", 3, dtypes[0]), many(tmp_path / "b", 1, dtypes[1]))
    assert make(split, channels=(3, 1)).depths() == depths
    assert make(Split((), split.b), channels=(3, 1)).depths() == (depths[1],) * 2


def test_the_first_batch_does_not_list_the_positions_of_all_steps(tmp_path):
    batches = load(make(twins(tmp_path, 2)), batch_size=64, start=3, steps=100_000, workers=0)
    tracemalloc.start()
    try:
        next(batches)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        batches.close()
    print(f"first of 100,000 batches of 64: {peak / 1e6:.1f} MB")
    assert peak < 20e6


class Ramps(torch.utils.data.Dataset):
    """Samples that tell their index, with noise from torch's generator, as of a random transform."""

    def __init__(self, count=5, **changes):
        self.count, self.changes = count, changes

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        noise = torch.rand(3, 4, 4) / 100
        return {"a": index / 10 + noise, "b": -index / 10 - noise} | self.changes


def index_of(image):
    return int(abs(image[0, 0, 0]) * 10)


def test_any_dataset_is_reshuffled_in_each_epoch():
    images = ShuffledDataset(Ramps(), seed=1)
    epochs = [[index_of(images[5 * epoch + offset]["a"]) for offset in range(5)] for epoch in range(4)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(5))] * 4
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [index_of(image) for image in images.fixed(3)["a"]] == [0, 1, 3]
    assert [index_of(image) for image in images.fixed(10)["a"]] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_random_transforms_of_any_dataset_depend_on_seed_and_position_only():
    samples = [ShuffledDataset(Ramps(), seed=1)[position] for position in range(12)]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    images = ShuffledDataset(Ramps(), seed=1)
    for position in reversed(range(12)):
        assert_equal(images[position], samples[position])
    assert torch.equal(torch.get_rng_state(), before), "the run's own random numbers are untouched"
    assert len({sample["a"].numpy().tobytes() for sample in samples}) == 12, "augmentations differ between epochs"
    other = ShuffledDataset(Ramps(), seed=2)
    assert any(not torch.equal(other[position]["a"], samples[position]["a"]) for position in range(12))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Ramps(0), "Ramps: a dataset needs __len__, above 0"),
        ([torch.zeros(3, 4, 4)], "first sample is Tensor; expected"),
        ([{"x": 1}], r"first sample is \['x'\]; expected"),
        (Ramps(a=np.zeros((4, 4, 3))), "'a' of the dataset's first sample is ndarray"),
        (Ramps(b=torch.zeros(4, 4)), r"'b' of the dataset's first sample is torch.float32 \(4, 4\)"),
        (Ramps(b=torch.zeros(3, 4, 4, dtype=torch.uint8)), r"is torch.uint8 \(3, 4, 4\)"),
        (Ramps(b=torch.full((3, 4, 4), 255.0)), r"'b' of the dataset's first sample is outside \[-1, 1\]"),
    ],
)
def test_a_dataset_of_other_samples_is_refused(dataset, message):
    with pytest.raises(UsageError, match=message):
        ShuffledDataset(dataset)
