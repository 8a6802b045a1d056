"""Any dataset as an endless stream of samples, in an order that depends on the seed and the position alone."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

from torch import Tensor
from torch.utils.data import Dataset

from i2i.data import ImageDataset
from i2i.data.dataset import ShuffledDataset
from i2i.errors import UsageError


def endless(dataset: Dataset[Any], *, seed: int) -> ImageDataset | ShuffledDataset:
    """The dataset as an endless stream, as `ImageDataset` is one already.

    Raises:
        UsageError: it has no length, or is empty.
    """
    if isinstance(dataset, ImageDataset | ShuffledDataset):
        return dataset
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or not len(cast(Sized, dataset)):
        raise UsageError(
            f"{type(dataset).__name__}: a dataset needs __len__, above 0, and __getitem__, so that a run can resume"
        )
    return ShuffledDataset(dataset, seed=seed)


def check_sample(sample: Any, *, single: bool) -> None:
    """Check that a sample is what a method trains on.

    Args:
        sample: {"a": ..., "b": ...}, or {"b": ...}.
        single: whether the method learns from a single set of images (b).

    Raises:
        UsageError: it isn't; the message says what is expected.
    """
    names = ("b",) if single else ("a", "b")
    expected = " and ".join(f'"{name}"' for name in names) + ", float tensors (C, S, S) with values in [-1, 1]"
    if not isinstance(sample, dict) or not all(isinstance(sample.get(name), Tensor) for name in names):
        raise UsageError(f"a sample of the dataset is a {type(sample).__name__}; it should be a dict with {expected}")
    for name in names:
        image = sample[name]
        if image.dim() != 3 or not image.is_floating_point() or image.shape[1] != image.shape[2]:
            raise UsageError(f'"{name}" of a sample is {image.dtype} {tuple(image.shape)}; expected {expected}')
        if not bool((image.abs() <= 1).all()):
            raise UsageError(f'"{name}" of a sample has values beyond [-1, 1]; expected {expected}')
