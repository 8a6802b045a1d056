"""Hugging Face datasets of images: the samples of a folder, from rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.data import ImageDataset, find_layout, load
from i2i.data.hugging_face import find_in_dataset, is_hugging_face
from i2i.errors import ImageError, UsageError
from support.datasets import assert_equal
from support.images import noise

datasets = pytest.importorskip("datasets")


def images(first: int, count: int = 4) -> list[Image.Image]:
    """Colour noise, each image of another size."""
    return [Image.fromarray(noise(30 + 3 * n, 41 - n, 3, seed=first + n)) for n in range(count)]


@pytest.fixture
def rows() -> Any:
    return datasets.Dataset.from_dict({"a": images(0), "b": images(50), "number": [1, 2, 3, 4]})


def dataset_of(layout: Any, split: str = "train", **options: Any) -> ImageDataset:
    paired = layout.matched == "name"
    return ImageDataset(getattr(layout, split), paired=paired, image_size=16, load_size=20, **options)


@pytest.mark.parametrize("stored", ["in memory", "on disk", "as paths", "shuffled"])
def test_samples_are_those_of_the_same_files_in_a_folder(rows: Any, tmp_path: Path, stored: str) -> None:
    for side, first in (("a", 0), ("b", 50)):
        (tmp_path / side).mkdir()
        for number, image in enumerate(images(first)):
            image.save(tmp_path / side / f"{number}.png")
    if stored == "on disk":
        rows.save_to_disk(tmp_path / "saved")
        rows = datasets.load_from_disk(tmp_path / "saved")
    elif stored == "as paths":
        paths = {side: [str(tmp_path / side / f"{number}.png") for number in range(4)] for side in "ab"}
        rows = datasets.Dataset.from_dict(paths).cast_column("a", datasets.Image()).cast_column("b", datasets.Image())
    elif stored == "shuffled":
        rows = rows.select([2, 0, 3, 1]).select([1, 3, 0, 2])
    options: dict[str, Any] = {"augment": ("flip", "affine", "colour"), "seed": 4}
    folder = dataset_of(find_layout([tmp_path / "a", tmp_path / "b"], data="paired"), **options)
    layout = find_in_dataset(rows, data="paired")
    found = dataset_of(layout, **options)
    for position in range(10):
        assert_equal(found[position], folder[position])
    assert_equal(found.fixed(3), folder.fixed(3))
    batches = [list(load(found, batch_size=2, start=0, steps=3, workers=workers)) for workers in (0, 2)]
    for one, two in zip(*batches, strict=True):
        assert_equal(one, two)


def test_the_splits_of_a_dict_are_trained_on_and_held_out(rows: Any) -> None:
    parts = {"test": rows.select([3]), "validation": rows.select([1, 2]), "train": rows.select([0])}
    layout = find_in_dataset(datasets.DatasetDict(parts), data="paired")
    assert layout
    assert layout.validation
    assert [len(layout.train.a), len(layout.validation.a), layout.validation.name] == [1, 2, "val"]
    del parts["validation"]
    layout = find_in_dataset(datasets.DatasetDict(parts), data="paired")
    assert layout
    assert layout.validation
    assert (len(layout.validation.b), layout.validation.name) == (1, "test")
    assert layout.description == (
        "input A = column 'a' of split 'train', target B = column 'b' of split 'train' (1 pair)"
    )


def test_columns_are_named_by_the_domains_and_swapped(rows: Any) -> None:
    renamed = rows.rename_columns({"a": "edges", "b": "photo"})
    layout = find_in_dataset(renamed, data="paired", domains=("photo", "edges"))
    assert layout
    assert layout.domains == ("photo", "edges")
    assert "column 'photo'" in layout.train.a.where  # type: ignore[attr-defined]
    swapped = find_in_dataset(rows, data="paired", domains=("edges", "photo"), swap=True)
    assert swapped
    assert swapped.domains == ("photo", "edges")
    assert "column 'b'" in swapped.train.a.where  # type: ignore[attr-defined]


def test_two_sets_are_columns_or_splits(rows: Any) -> None:
    layout = find_in_dataset(rows, data="unpaired")
    assert layout
    assert layout.matched == "unpaired"
    one = rows.select_columns(["a"]).rename_column("a", "image")
    splits = {"trainA": one, "trainB": one.select([0, 1]), "testA": one.select([0]), "testB": one.select([1])}
    layout = find_in_dataset(datasets.DatasetDict(splits), data="unpaired")
    assert layout
    assert layout.validation
    assert [len(part) for part in (layout.train.a, layout.train.b, layout.validation.b)] == [4, 2, 1]


def test_a_single_set_has_the_classes_of_its_label_column() -> None:
    names = datasets.ClassLabel(names=["cat", "dog", "cow"])
    rows = datasets.Dataset.from_dict({"image": images(0), "label": [2, 0, 1, 2]}).cast_column("label", names)
    layout = find_in_dataset(rows, data="single", labels=True)
    assert layout
    assert layout.classes == ("cat", "dog", "cow")
    assert dataset_of(layout).fixed(4)["label"].tolist() == [2, 0, 1, 2]
    assert dataset_of(layout)[0]["label"].dtype == torch.int64
    unlabelled = find_in_dataset(rows, data="single")
    assert unlabelled
    assert "label" not in dataset_of(unlabelled)[0]
    text = datasets.Dataset.from_dict({"image": images(0), "label": list("abca")})
    with pytest.raises(UsageError, match=r"label \(string\); expected classes .*class_encode_column"):
        find_in_dataset(text, data="single", labels=True)
    missing = rows.map(lambda row: {"label": -1}, features=rows.features)
    with pytest.raises(UsageError, match="rows without a class"):
        find_in_dataset(missing, data="single", labels=True)


@pytest.mark.parametrize(
    ("columns", "data", "message"),
    [
        ({"x": "image", "y": "image", "n": "int"}, "paired", r"are x, y, n \(int64\); .*domains=\('x', 'y'\)"),
        ({"a": "int", "b": "int"}, "paired", r"are a \(int64\), b \(int64\); dataset\.cast_column\(name, datasets"),
        ({"a": "image"}, "paired", r"are a; expected images in the columns a and b"),
        ({"x": "image", "y": "image"}, "single", r"are x, y; expected images in the column image"),
    ],
)
def test_columns_that_lack_images_are_named(columns: dict[str, str], data: Any, message: str) -> None:
    rows = datasets.Dataset.from_dict(
        {name: images(0, 2) if kind == "image" else [1, 2] for name, kind in columns.items()}
    )
    with pytest.raises(UsageError, match=message):
        find_in_dataset(rows, data=data)


def test_streams_and_other_splits_are_refused_with_what_to_do(rows: Any) -> None:
    streams = rows.to_iterable_dataset(), datasets.IterableDatasetDict(train=rows.to_iterable_dataset())
    for stream in streams:
        with pytest.raises(UsageError, match=r"a stream can't resume .* without streaming=True, or write .* shards"):
            find_in_dataset(stream, data="paired")
    with pytest.raises(UsageError, match="the splits are first; expected train"):
        find_in_dataset(datasets.DatasetDict(first=rows), data="paired")
    with pytest.raises(UsageError, match="split train: 0 rows"):
        find_in_dataset(rows.select([]), data="paired")
    other = datasets.DatasetDict(train=rows, test=rows.remove_columns("b"))
    with pytest.raises(UsageError, match=r"split test: the columns .* are a, number \(int64\); expected images in b"):
        find_in_dataset(other, data="paired")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"bytes": b"GIF87a", "path": None}, ": truncated"),
        ({"bytes": None, "path": "/none.png"}, ": /none.png: "),
        (None, ": there is no image in it"),
    ],
)
def test_a_broken_image_is_named_by_its_row(value: Any, reason: str) -> None:
    example = Path(__file__).parents[2] / "datasets" / "examples" / "04-highway-interchange.png"
    good = [{"bytes": example.read_bytes(), "path": None}]
    features = datasets.Features(a=datasets.Image(), b=datasets.Image())
    rows = datasets.Dataset.from_dict({"a": good * 2, "b": [*good, value]}, features=features)
    with pytest.raises(ImageError) as refused:
        dataset_of(find_in_dataset(rows, data="paired")).fixed(2)
    assert str(refused.value).startswith(f"row 1 of column 'b' of split 'train'{reason}")


def test_a_dataset_with_a_transform_or_of_tensors_makes_its_samples_itself(rows: Any) -> None:
    assert find_in_dataset(rows.with_transform(lambda batch: batch), data="paired") is None
    tensors = datasets.Dataset.from_dict({"a": np.zeros((2, 3, 8, 8)).tolist(), "b": np.zeros((2, 3, 8, 8)).tolist()})
    assert find_in_dataset(tensors.with_format("torch"), data="paired") is None


def test_changed_images_have_another_checksum(rows: Any) -> None:
    def checksums(dataset: Any) -> tuple[str, str]:
        layout = find_in_dataset(dataset, data="paired")
        assert layout
        found: tuple[str, str] = layout.train.b.checksums  # type: ignore[attr-defined]
        return found

    assert checksums(rows) == checksums(rows.select(range(4)))
    assert checksums(rows)[1] != checksums(rows.select([3, 2, 1, 0]))[1]


def test_the_library_is_recognised_but_not_imported() -> None:
    class Dataset:
        pass

    Dataset.__module__ = "datasets"  # that of a caller's own datasets.py
    assert not is_hugging_face(Dataset())
    code = "import sys, i2i.data.hugging_face; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
