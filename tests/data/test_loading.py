import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.data import ImageDataset, load
from i2i.data.dataset import read_source
from i2i.data.folders import Source, Split
from i2i.data.loader import default_workers
from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage
from i2i.images.tensors import to_pixels
from support.images import made, noise

EVERY = ("flip", "vertical_flip", "rotate90", "affine", "colour")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def plain(folder, pixels, shape=(12, 12)):
    """Images of one level each, which tells them apart."""
    return tuple(Source(save(folder / f"{level:03}.png", np.full(shape, level, np.uint8))) for level in pixels)


def twins(folder, count, side=16):
    """Side-by-side images whose halves are the same noise."""
    rng = np.random.default_rng(5)
    halves = [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]
    paths = [save(folder / f"{i}.png", np.hstack([half, half])) for i, half in enumerate(halves)]
    return Split(tuple(Source(path, "left") for path in paths), tuple(Source(path, "right") for path in paths))


def level(image):
    """The one level of a plain image."""
    pixels = to_pixels(image)
    assert pixels.min() == pixels.max()
    return int(pixels[0, 0, 0])


def stream(images, *positions):
    """The levels of a and b at positions."""
    return [(level(sample["a"]), level(sample["b"])) for sample in map(images.__getitem__, positions)]


def make(split, *, paired=True, image_size=8, load_size=12, **options):
    return ImageDataset(split, paired=paired, image_size=image_size, load_size=load_size, **options)


def assert_equal(one, two):
    assert one.keys() == two.keys() == {"a", "b"}
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_every_pass_goes_over_every_pair_once_in_an_order_of_its_own(tmp_path):
    split = Split(plain(tmp_path / "a", range(0, 80, 10)), plain(tmp_path / "b", range(100, 180, 10)))
    images = make(split)
    assert len(images) == 8
    passes = [stream(images, *range(8 * turn, 8 * turn + 8)) for turn in range(4)]
    for seen in passes:
        assert sorted(seen) == [(i, 100 + i) for i in range(0, 80, 10)]
    assert len({tuple(seen) for seen in passes}) == 4


def test_unpaired_domains_have_orders_of_their_own(tmp_path):
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


@pytest.mark.parametrize("whole_from", [None, 4])
@pytest.mark.parametrize("paired", [True, False])
def test_a_sample_depends_on_seed_and_position_only(tmp_path, paired, whole_from):
    split = twins(tmp_path, 3)
    options = {"paired": paired, "image_size": 8, "load_size": 12, "augment": EVERY, "whole_from": whole_from}
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


def test_one_image_is_cropped_anew_at_every_position(tmp_path):
    images = make(twins(tmp_path, 1))
    assert len({images[position]["a"].numpy().tobytes() for position in range(20)}) > 8


@pytest.mark.parametrize("whole_from", [None, 5])
@pytest.mark.parametrize("paired", [True, False])
def test_workers_and_a_later_start_give_the_same_batches(tmp_path, paired, whole_from):
    images = make(twins(tmp_path, 5), paired=paired, augment=EVERY, cache_bytes=2000, whole_from=whole_from)
    options = {"batch_size": 2, "steps": 6}
    batches = list(load(images, start=0, workers=0, **options))
    assert len(batches) == 6
    for step, batch in enumerate(batches):
        for i in range(2):
            assert_equal({key: batch[key][i] for key in batch}, images[2 * step + i])
    in_processes = list(load(images, start=0, workers=2, **options))
    later = list(load(images, start=4, workers=0, **options))
    assert (len(in_processes), len(later)) == (6, 2)
    for one, two in zip([*batches, *batches[4:]], [*in_processes, *later], strict=True):
        assert_equal(one, two)


@pytest.mark.parametrize("cache_bytes", [0, 10**6])
def test_from_whole_from_on_images_are_seen_whole(tmp_path, cache_bytes):
    split = twins(tmp_path, 3)
    crops = make(split, cache_bytes=cache_bytes)
    images = make(split, cache_bytes=cache_bytes, whole_from=7)
    whole = {tensor.numpy().tobytes() for tensor in crops.fixed(3)["a"]}
    for position in range(7):
        assert torch.equal(images[position]["a"], crops[position]["a"])
        assert images[position]["a"].numpy().tobytes() not in whole
    assert {images[position]["a"].numpy().tobytes() for position in range(7, 7 + 6)} == whole
    mirrored = make(split, whole_from=7, augment=("flip",))
    seen = [mirrored[position]["a"] for position in range(7, 47)]
    straight = sum(x.numpy().tobytes() in whole for x in seen)
    assert straight + sum(x.flip(2).numpy().tobytes() in whole for x in seen) == 40
    assert 8 < straight < 32  # 20 and nearly four standard deviations


def test_there_are_no_batches_where_all_steps_are_done(tmp_path):
    assert list(load(make(twins(tmp_path, 1)), batch_size=1, start=3, steps=3, workers=0)) == []


def test_the_cpu_feeds_itself():
    assert default_workers(torch.device("cpu")) == 0
    assert 1 <= default_workers(torch.device("cuda")) <= 8


@pytest.mark.parametrize("augment", [(), ("flip",), ("vertical_flip",), ("rotate90",), ("affine",), EVERY[:-1]])
def test_pairs_are_changed_alike(tmp_path, augment):
    images = make(twins(tmp_path, 2), augment=augment)
    for position in range(12):
        sample = images[position]
        assert torch.equal(sample["a"], sample["b"])


@pytest.mark.parametrize("paired", [True, False])
def test_colour_changes_the_input_alone(tmp_path, paired):
    split = twins(tmp_path, 2)
    coloured, as_is = (make(split, paired=paired, augment=augment) for augment in (("flip", "colour"), ("flip",)))
    pairs = [(coloured[position], as_is[position]) for position in range(20)]
    assert all(torch.equal(one["b"], two["b"]) for one, two in pairs)
    changed = sum(not torch.equal(one["a"], two["a"]) for one, two in pairs)
    assert 3 < changed < 17, "about half of the inputs"


def test_unpaired_images_are_changed_on_their_own(tmp_path):
    split = twins(tmp_path, 1)
    images = make(Split(split.a, split.a), paired=False)
    samples = [images[position] for position in range(10)]
    assert any(not torch.equal(sample["a"], sample["b"]) for sample in samples)


@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("paired", [True, False])
def test_samples_have_the_channels_and_size_asked_for(tmp_path, channels, paired):
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


def test_fixed_images_are_whole_unchanged_and_spread_over_the_split(tmp_path):
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


def test_halves_are_left_and_right(tmp_path):
    path = save(tmp_path / "x.png", np.array([[1, 2, 3, 4]], np.uint8))
    assert read_source(Source(path, "left"), channels=1).tolist() == [[[1], [2]]]
    assert read_source(Source(path, "right"), channels=1).tolist() == [[[3], [4]]]
    assert read_source(Source(path), channels=1).tolist() == [[[1], [2], [3], [4]]]


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
    images = make(Split(sources, sources), cache_bytes=144 * 3, whole_from=6)
    for position in range(18):
        images[position]
    for source in sources:
        source.path.unlink()
    for source in plain(tmp_path / "others", range(5)):
        read_source(source, channels=3)
    assert len([images[position] for position in range(18, 24)]) == 6  # all six, at 8 x 8 x 1


def alone(folder, pixels, *, labels=()):
    """A single set of plain images."""
    return Split((), plain(folder, pixels), tuple(labels))


def test_every_pass_over_a_single_set_shows_all_its_images(tmp_path):
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
def test_a_single_set_has_the_channels_of_what_is_wanted(tmp_path, channels, labels):
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


def test_a_single_set_is_cropped_and_flipped_as_the_seed_says(tmp_path):
    split = Split((), twins(tmp_path, 2).b)
    first, again, other = (make(split, augment=("flip",), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[index]["b"], again[index]["b"]) for index in range(8))
    assert any(not torch.equal(first[index]["b"], other[index]["b"]) for index in range(8))
    assert len({first[index]["b"].numpy().tobytes() for index in range(0, 20, 2)}) > 4


def test_colour_leaves_a_single_set_alone(tmp_path):
    # It is of the input, and a single set is the output.
    split = Split((), twins(tmp_path, 2).b)
    coloured, as_is = (make(split, augment=augment) for augment in (("flip", "colour"), ("flip",)))
    assert all(torch.equal(coloured[index]["b"], as_is[index]["b"]) for index in range(12))


def test_batches_of_a_single_set(tmp_path):
    images = make(alone(tmp_path, [0, 10, 20], labels=(0, 1, 1)))
    batches = list(load(images, batch_size=2, start=1, steps=4, workers=0))
    assert [batch.keys() for batch in batches] == [{"b", "label"}] * 3
    for step, batch in enumerate(batches, start=1):
        assert (batch["b"].shape, batch["label"].shape) == ((2, 3, 8, 8), (2,))
        for i in range(2):
            sample = images[2 * step + i]
            assert torch.equal(batch["b"][i], sample["b"])
            assert batch["label"][i] == sample["label"]


def many(folder, channels, dtype, *, suffix=".npy", count=3, size=(16, 16)):
    """Files of noise of so many channels."""
    folder.mkdir(parents=True)
    for seed in range(count):
        (folder / f"{seed}{suffix}").write_bytes(
            made(DecodedImage(noise(*size, channels, dtype=dtype, seed=seed)), suffix)
        )
    return tuple(Source(folder / f"{seed}{suffix}") for seed in range(count))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("channels", "suffix"), [((1, 3), ".tif"), ((6, 2), ".npy"), ((4, 13), ".tif"), ((13, 1), ".npy")]
)
@pytest.mark.parametrize("paired", [True, False])
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 4, 6])
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_halves_of_any_channels_are_left_and_right(tmp_path, suffix, channels, dtype):
    (one,) = many(tmp_path / "x", channels, dtype, suffix=suffix, count=1, size=(5, 12))
    whole = read_source(one, channels=channels)
    assert whole.shape == (5, 12, channels)
    assert (read_source(Source(one.path, "left"), channels=channels) == whole[:, :6]).all()
    assert (read_source(Source(one.path, "right"), channels=channels) == whole[:, 6:]).all()


def test_images_with_alpha_and_without_are_of_four_channels_where_those_are_asked(tmp_path):
    solid = Source(save(tmp_path / "solid.png", noise(12, 12, 3)))
    clear = Source(save(tmp_path / "clear.png", np.dstack([noise(12, 12, 3), np.zeros((12, 12), np.uint8)])))
    for source, alpha in ((solid, 255), (clear, 0)):
        pixels = read_source(source, channels=4)
        assert (pixels[..., :3] == noise(12, 12, 3)).all()
        assert (pixels[..., 3] == alpha).all()
        assert read_source(source, channels=3).shape == (12, 12, 3)


@pytest.mark.parametrize(
    ("dtypes", "depths"),
    [((np.uint8, np.uint16), (8, 16)), ((np.uint16, np.float32), (16, 32)), ((np.uint8,) * 2, (8, 8))],
)
def test_depths_are_those_of_each_domain(tmp_path, dtypes, depths):
    split = Split(many(tmp_path / "a", 3, dtypes[0]), many(tmp_path / "b", 1, dtypes[1]))
    assert make(split, channels=(3, 1)).depths() == depths
    assert make(Split((), split.b), channels=(3, 1)).depths() == (depths[1],) * 2


def test_a_image_of_other_channels_is_named_with_what_to_type(tmp_path):
    (one,) = many(tmp_path / "x", 6, np.uint8, count=1)
    with pytest.raises(ImageError) as error:
        read_source(one, channels=3)
    assert str(error.value) == (
        f"{one.path}: an image of 6 channels where 3 are needed; --channels of the training says how many"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_from_a_worker_too(tmp_path, workers):
    sources = many(tmp_path / "x", 6, np.uint8)
    sources[1].path.write_bytes(sources[1].path.read_bytes()[:-5])
    images = make(Split(sources, sources), channels=(6, 6))
    with pytest.raises(ImageError) as error:
        list(load(images, batch_size=1, start=0, steps=3, workers=workers))
    assert str(error.value).startswith(f"{sources[1].path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_shares_of_a_batch_are_the_whole_of_it_without_overlap(tmp_path, shares):
    sources = plain(tmp_path, range(0, 120, 10))
    images = make(Split(sources, sources))
    options = {"batch_size": 6, "start": 1, "steps": 4, "workers": 0}
    whole = list(load(images, **options))
    parts = [list(load(images, share=(index, shares), **options)) for index in range(shares)]
    assert [len(part) for part in parts] == [len(whole)] * shares == [3] * shares
    for step, batch in enumerate(whole):
        assert_equal({key: torch.cat([part[step][key] for part in parts]) for key in batch}, batch)
    shown = [level(image) for part in parts for batch in part[1:] for image in batch["a"]]
    assert sorted(shown) == list(range(0, 120, 10))  # the second pass, by all together


def test_the_first_batch_does_not_wait_for_the_positions_of_all_steps(tmp_path):
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
