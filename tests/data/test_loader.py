from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.data import ShuffledDataset, load
from i2i.data.layout import Split
from i2i.data.loader import default_workers
from i2i.errors import ImageError
from support.datasets import EVERY, alone, assert_equal, level, make, many, plain, twins


@pytest.mark.parametrize(("paired", "uncropped_from"), [(True, 5), (False, None)])
def test_workers_and_a_later_start_give_the_same_batches(tmp_path, paired, uncropped_from):
    images = make(twins(tmp_path, 5), paired=paired, augment=EVERY, cache_bytes=2000, uncropped_from=uncropped_from)
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


def test_there_are_no_batches_when_all_steps_are_done(tmp_path):
    assert list(load(make(twins(tmp_path, 1)), batch_size=1, start=3, steps=3, workers=0)) == []


def test_training_on_a_cpu_has_no_workers():
    assert default_workers(torch.device("cpu")) == 0
    assert 1 <= default_workers(torch.device("cuda")) <= 8


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
def test_the_shares_of_all_ranks_make_up_the_batch(tmp_path, shares):
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


def test_any_dataset_gives_the_same_batches_from_workers_and_a_later_start():
    pairs = [{"a": torch.full((1, 2, 2), n / 10), "b": torch.full((1, 2, 2), -n / 10)} for n in range(5)]
    images = ShuffledDataset(pairs, seed=3)
    options = {"batch_size": 2, "steps": 6}
    batches = list(load(images, start=0, workers=0, **options))
    assert len({float(x) for batch in batches[:3] for x in batch["a"][:, 0, 0, 0]}) == 5
    others = [*load(images, start=0, workers=2, **options), *load(images, start=4, workers=0, **options)]
    for expected, batch in zip([*batches, *batches[4:]], others, strict=True):
        assert_equal(batch, expected)
