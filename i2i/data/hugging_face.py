"""Images in the rows of a Hugging Face dataset: the library `datasets` is imported only by its users."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from i2i.data.direction import counted
from i2i.data.layout import Images, Layout, Source, Split
from i2i.errors import ImageError, UsageError, setting
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read

_MODULES = ("datasets.arrow_dataset", "datasets.dataset_dict", "datasets.iterable_dataset")
_TRAIN, _HELD_OUT = ("train",), ("validation", "valid", "val", "test")
_LOOKED_AT = 64  # rows whose sizes tell whether a dataset has changed


def is_hugging_face(data: object) -> bool:
    """Whether it is a Dataset, DatasetDict or stream of the library, and not a class of the caller's `datasets.py`."""
    return any(kind.__module__ in _MODULES for kind in type(data).__mro__)


def find_in_dataset(
    dataset: Any,
    *,
    data: Literal["paired", "unpaired", "single"],
    domains: tuple[str, str] | None = None,
    swap: bool = False,
    labels: bool = False,
) -> Layout | None:
    """The images in the columns `a` and `b` of a dataset, or those that `domains` names; `image` for a single set.

    The split `train` of a DatasetDict is trained on; `validation`, or else `test`, is held out. Two sets may also be
    the splits trainA and trainB.

    Args:
        dataset: a Dataset or DatasetDict.
        data: what the method learns from.
        domains: names of a and b, which may be columns.
        swap: exchange input and target.
        labels: take the column `label` as classes, for a single set.

    Returns:
        None for a dataset with a transform, which makes its samples itself.

    Raises:
        UsageError: it is a stream, or lacks a split or a column.
    """
    name = type(dataset).__name__
    if name.startswith("Iterable"):
        raise UsageError(
            f"{name}: a stream can't resume at a given sample; load it without streaming=True, or write its images as "
            "shards (datasets/make_shards.py) and give those"
        )
    splits: Mapping[str, Any] = dataset if isinstance(dataset, Mapping) else {"train": dataset}
    if not isinstance(dataset, Mapping) and _makes_tensors(dataset):
        return None
    columns = _columns(next(iter(splits.values())), data, domains)
    train = _find_split(splits, _TRAIN, columns, labels=labels)
    if train is None:
        raise UsageError(f"{name}: the splits are {', '.join(splits)}; expected train, or trainA and trainB")
    validation = _find_split(splits, _HELD_OUT, columns, labels=labels)
    classes = tuple(_label_feature(next(iter(splits.values()))).names) if labels else ()
    if data == "single":
        return Layout("single", ("latent", columns[-1]), train, validation, classes)
    named = columns if columns == domains else ("A", "B")
    layout = Layout("name" if data == "paired" else "unpaired", named, train, validation)
    layout = layout.with_domains(domains) if domains and domains != named else layout
    return layout.swapped() if swap else layout


@dataclass(frozen=True)
class Cell:
    """An image in a row."""

    images: RowImages
    row: int

    def __str__(self) -> str:
        return f"row {self.row} of {self.images.where}"

    def read(self, *, max_megapixels: float) -> DecodedImage:
        """Read the image: the file that the dataset holds, or the one that it names."""
        value = self.images.value(self.row)
        if not value or not (value["bytes"] or value["path"]):
            raise ImageError(f"{self}: there is no image in it")
        if value["bytes"]:
            return read(value["bytes"], max_megapixels=max_megapixels, name=str(self))
        try:
            return read(Path(value["path"]), max_megapixels=max_megapixels)
        except ImageError as error:
            raise ImageError(f"{self}: {error.args[0]}") from None


class RowImages(Images):
    """The images in a column of a Dataset, as files that are not yet decoded.

    Args:
        dataset: the Dataset.
        column: with `datasets.Image` values.
        split: its name.
    """

    def __init__(self, dataset: Any, column: str, split: str) -> None:
        encoded = sys.modules["datasets"].Image(decode=False)
        self._rows = dataset.with_format(None).select_columns([column]).cast_column(column, encoded)
        self._column, self._split = column, split

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return Source(Cell(self, range(len(self))[index]))

    def value(self, row: int) -> Any:
        """The bytes and the path of an image, as the library keeps them."""
        return self._rows[row][self._column]

    @property
    def where(self) -> str:
        return f"column {self._column!r} of split {self._split!r}"

    @property
    def checksums(self) -> tuple[str, str]:
        count = len(self)
        rows = sorted({number * count // _LOOKED_AT for number in range(_LOOKED_AT)})
        sizes = [len((self.value(row) or {}).get("bytes") or b"") for row in rows]
        return tuple(hashlib.sha256(repr(part).encode()).hexdigest() for part in (self._column, sizes))  # type: ignore[return-value]


def _makes_tensors(dataset: Any) -> bool:
    """Whether the caller has given a dataset a transform, or it has no images but a format of tensors."""
    kind = dataset.format["type"]
    return kind == "custom" or (kind == "torch" and not _image_columns(dataset))


def _image_columns(dataset: Any) -> list[str]:
    image = sys.modules["datasets"].Image
    return [name for name, feature in dataset.features.items() if isinstance(feature, image)]


def _columns(dataset: Any, data: str, domains: tuple[str, str] | None) -> tuple[str, ...]:
    """The columns of a and b, or of the one set."""
    images = _image_columns(dataset)
    if data == "single" or (len(images) == 1 and data == "unpaired"):
        if len(images) == 1 or "image" in images:
            return ("image" if "image" in images else images[0],)
        raise UsageError(f"{_found(dataset)}; expected images in the column image")
    for columns in (domains, ("a", "b")):
        if columns and set(columns) <= set(images):
            return columns
    named = (images[0], images[1]) if len(images) > 1 else ("input", "target")
    raise UsageError(f"{_found(dataset)}; expected images in the columns a and b, or {setting('domains', named)}")


def _found(dataset: Any) -> str:
    """The columns of a dataset, with their types where they are no images."""
    images = _image_columns(dataset)
    found = [name if name in images else f"{name} ({_kind(dataset.features[name])})" for name in dataset.features]
    cast = "" if images else "; dataset.cast_column(name, datasets.Image()) turns paths and bytes into images"
    return f"the columns of the dataset are {', '.join(found) or 'none'}{cast}"


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or type(feature).__name__)


def _find_split(
    splits: Mapping[str, Any], names: tuple[str, ...], columns: tuple[str, ...], *, labels: bool
) -> Split | None:
    """The images of the first of these splits that there is."""
    for name in names:
        if name in splits and len(columns) == 2:
            a, b = (_images(splits, name, column) for column in columns)
            return Split(a, b, name=_plain(name))
        if {f"{name}A", f"{name}B"} <= splits.keys():
            a, b = (_images(splits, f"{name}{letter}", columns[-1]) for letter in "AB")
            return Split(a, b, name=_plain(name))
        if name in splits:
            return Split(
                (), _images(splits, name, columns[0]), _labels(splits[name]) if labels else (), name=_plain(name)
            )
    return None


def _plain(name: str) -> str:
    return "val" if name.startswith("val") else name


def _images(splits: Mapping[str, Any], name: str, column: str) -> RowImages:
    dataset = splits[name]
    if column not in _image_columns(dataset):
        raise UsageError(f"split {name}: {_found(dataset)}; expected images in {column}, as in the first split")
    if not len(dataset):
        raise UsageError(f"split {name}: {counted(0, 'row')}; leave out this split, or give it images")
    return RowImages(dataset, column, name)


def _label_feature(dataset: Any) -> Any:
    feature = dataset.features.get("label")
    if not hasattr(feature, "names"):
        raise UsageError(
            f"{setting('labels')}: {_found(dataset)}; expected classes in the column label: "
            "dataset.class_encode_column('label')"
        )
    return feature


def _labels(dataset: Any) -> tuple[int, ...]:
    count = len(_label_feature(dataset).names)
    labels = np.asarray(dataset.with_format("numpy", columns=["label"])["label"][:])
    if not ((labels >= 0) & (labels < count)).all():
        raise UsageError(f"{setting('labels')}: rows without a class in the column label; leave them out")
    return tuple(labels.tolist())
