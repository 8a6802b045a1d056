"""Datasets as endless streams: the sample at a position of the training is the same in every process and run."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from i2i.data.layout import Images, IndexArray, Source, Split
from i2i.data.reading import read_source
from i2i.data.resizing import resized
from i2i.data.transforms import JointTransform
from i2i.errors import UsageError
from i2i.images.decoded import PixelArray
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.tensors import to_tensor

Sample = dict[str, Tensor]


class ImageDataset(Dataset[Sample]):
    """The images of a split, reshuffled in each epoch, cropped and augmented.

    An epoch of a domain shows all its images; unpaired domains are shuffled separately, and each has epochs of its own
    length. A sample is {"a": (C, S, S), "b": (C, S, S)}, float in [-1, 1]; of a single set of images it is
    {"b": ...}, with {"label": class index} where there are classes.

    Args:
        split: the images.
        paired: give both images of a pair the same crop and augmentations.
        image_size: S, height and width of a sample, in pixels.
        load_size: height and width to which images are resized before cropping.
        channels: of a and b.
        augment: names of augmentations; see `JointTransform`.
        seed: decides order, crops and augmentations.
        cache_bytes: memory for resized images.
        max_megapixels: larger images are refused.
        uncropped_from: position from which images are resized to `image_size` and no longer cropped.
    """

    def __init__(
        self,
        split: Split,
        *,
        paired: bool,
        image_size: int,
        load_size: int,
        channels: tuple[int, int] = (3, 3),
        augment: tuple[str, ...] = (),
        seed: int = 0,
        cache_bytes: int = 0,
        max_megapixels: float = MAX_MEGAPIXELS,
        uncropped_from: int | None = None,
    ) -> None:
        self.split, self.paired, self.load_size, self.channels, self.seed = split, paired, load_size, channels, seed
        self.image_size, self.max_megapixels, self.uncropped_from = image_size, max_megapixels, uncropped_from
        self._transform = JointTransform(image_size=image_size, augment=augment)
        self._cache: dict[Source, PixelArray] = {}
        self._cache_bytes = self._cache_room = cache_bytes
        self._cached_size = load_size

    def __len__(self) -> int:
        """Images of the longer domain, which make an epoch."""
        return max(len(self.split.a), len(self.split.b))

    def __getitem__(self, position: int) -> Sample:
        """The training sample at a position of the stream, 0 or more."""
        size = self.load_size if self.uncropped_from is None or position < self.uncropped_from else self.image_size
        seed_a, seed_b = np.random.SeedSequence((self.seed, position)).generate_state(2)
        if not self.split.a:
            index = self._index(self.split.b, position, domain=0)
            b = self._transform.one(self._read(self.split.b[index], "b", size), seed=int(seed_b), is_input=False)
            return self._single(b, index)
        index = self._index(self.split.a, position, domain=0)
        index_b = index if self.paired else self._index(self.split.b, position, domain=1)
        a, b = self._read(self.split.a[index], "a", size), self._read(self.split.b[index_b], "b", size)
        if self.paired:
            a, b = self._transform.pair(a, b, seed=int(seed_a))
        else:
            a = self._transform.one(a, seed=int(seed_a), is_input=True)
            b = self._transform.one(b, seed=int(seed_b), is_input=False)
        return self._tensors(a, b)

    def fixed(self, count: int) -> Sample:
        """A batch of `count` images spread evenly over the split, neither cropped nor augmented."""
        samples = []
        for number in range(count):
            index_a, index_b = (number * len(sources) // count for sources in (self.split.a, self.split.b))
            b = resized(self._decode(self.split.b[index_b], "b"), self.image_size)
            if self.split.a:
                a = resized(self._decode(self.split.a[index_a], "a"), self.image_size)
                samples.append(self._tensors(a, b))
            else:
                samples.append(self._single(b, index_b))
        batch: Sample = default_collate(samples)
        return batch

    def depths(self) -> tuple[int, int]:
        """Bits per value of each domain's first image: 8, 16, or 32 for floats."""
        b = 8 * self._decode(self.split.b[0], "b").dtype.itemsize
        return (8 * self._decode(self.split.a[0], "a").dtype.itemsize if self.split.a else b), b

    def _index(self, images: Sequence[Source], position: int, *, domain: int) -> int:
        """The index of the image at a position of the stream."""
        if not isinstance(images, Images):
            return _shuffled(self.seed, position, count=len(images), domain=domain)
        epoch, offset = divmod(position, len(images))
        order = _order(self.seed, epoch, domain, images)
        images.prefetch(order, offset)
        return int(order[offset])

    def _read(self, source: Source, domain: str, size: int) -> PixelArray:
        if size != self._cached_size:  # once in a run, where crops end
            self._cache.clear()
            self._cached_size, self._cache_room = size, self._cache_bytes
        if source not in self._cache:
            pixels = np.ascontiguousarray(resized(self._decode(source, domain), size))
            if pixels.nbytes > self._cache_room:
                return pixels
            self._cache_room -= pixels.nbytes
            self._cache[source] = pixels
        return self._cache[source]

    def _decode(self, source: Source, domain: str) -> PixelArray:
        channels = self.channels["ab".index(domain)]
        return read_source(source, channels=channels, max_megapixels=self.max_megapixels)

    def _single(self, b: PixelArray, index: int) -> Sample:
        sample = {"b": to_tensor(b, self.channels[1])}
        return sample | {"label": torch.tensor(self.split.labels[index])} if self.split.labels else sample

    def _tensors(self, a: PixelArray, b: PixelArray) -> Sample:
        return {"a": to_tensor(a, self.channels[0]), "b": to_tensor(b, self.channels[1])}


class ShuffledDataset(Dataset[Sample]):
    """Any map-style dataset of samples, reshuffled in each epoch.

    What the dataset draws from torch's CPU generator, as torchvision's transforms do, is seeded by the position, so
    that a resumed run sees the same samples.

    Args:
        dataset: has a length, and at each index {"a": (C, H, W), "b": (C, H, W)}, float in [-1, 1]; of a single set
            {"b": ...}, with {"label": class index, int64} where there are classes.
        seed: decides order and augmentations.

    Raises:
        UsageError: the dataset has no length or is empty, or its first sample isn't of this form.
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int = 0) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or not len(dataset):
            raise UsageError(
                f"{type(dataset).__name__}: a dataset needs __len__, above 0, and __getitem__, so that a run can resume"
            )
        self.dataset, self.seed, self._count = dataset, seed, len(dataset)
        _check_sample(self._at(0, seed=0))

    def __len__(self) -> int:
        """Samples in an epoch."""
        return self._count

    def __getitem__(self, position: int) -> Sample:
        """The training sample at a position of the stream, 0 or more."""
        seed = int(np.random.SeedSequence((self.seed, position)).generate_state(1)[0])
        return self._at(_shuffled(self.seed, position, count=self._count), seed=seed)

    def fixed(self, count: int) -> Sample:
        """A batch of `count` samples spread evenly over the dataset."""
        batch: Sample = default_collate([self._at(n * self._count // count, seed=n) for n in range(count)])
        return batch

    def depths(self) -> tuple[int, int]:
        """Bits per value with which images of each domain are saved."""
        return 8, 8

    def _at(self, index: int, *, seed: int) -> Sample:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
            sample: Sample = self.dataset[index]
        return sample


def endless(dataset: Dataset[Any], *, seed: int) -> ImageDataset | ShuffledDataset:
    """A dataset as an endless stream: an `ImageDataset` is one already, any other becomes a `ShuffledDataset`."""
    return dataset if isinstance(dataset, ImageDataset | ShuffledDataset) else ShuffledDataset(dataset, seed=seed)


def _check_sample(sample: Any) -> None:
    expected = 'expected {"a": ..., "b": ...}, float tensors (C, H, W) in [-1, 1]'
    if not isinstance(sample, Mapping) or "b" not in sample:
        found = sorted(map(str, sample)) if isinstance(sample, Mapping) else type(sample).__name__
        raise UsageError(f"the dataset's first sample is {found}; {expected}")
    for name in sample.keys() & {"a", "b"}:
        image = sample[name]
        if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
            found = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
            raise UsageError(f"{name!r} of the dataset's first sample is {found}; {expected}")
        if not -1 <= image.min() <= image.max() <= 1:
            raise UsageError(f"{name!r} of the dataset's first sample is outside [-1, 1]; {expected}")


def _shuffled(seed: int, position: int, *, count: int, domain: int = 0) -> int:
    epoch, offset = divmod(position, count)
    return int(_order(seed, epoch, domain, count)[offset])


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, domain: int, images: Images | int) -> IndexArray:
    """The order of an epoch's images, or of so many files: an array, as an object for each would take 40 bytes."""
    rng = np.random.default_rng((seed, epoch, domain))
    order = rng.permutation(images) if isinstance(images, int) else images.order(rng)
    return order.astype(np.uint32)
