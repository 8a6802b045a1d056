"""The images of a split as a dataset."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from i2i.data.folders import Source, Split
from i2i.data.transforms import JointTransform, resized
from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.reading import read
from i2i.images.tensors import match_channels, to_tensor

Sample = dict[str, Tensor]


class WorkerLost(RuntimeError):
    """A process that loads images has ended."""


class ImageDataset(Dataset[Sample]):
    """The endless stream of a split's images; the sample at a position is the same in every process and run.

    Each pass over a domain shows all its images, in an order of its own; domains that aren't pairs each go at their
    own length. A sample is {"a": (C, S, S), "b": (C, S, S)}, float in [-1, 1]; of a single set of images it is
    {"b": ...}, with {"label": place of its class} where there are classes. Images are resized to `load_size` and a
    crop is cut, and from the position `whole_from` on they are resized to `image_size` and seen whole.
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
        whole_from: int | None = None,
    ) -> None:
        self.split, self.paired, self.load_size, self.channels, self.seed = split, paired, load_size, channels, seed
        self.image_size, self.max_megapixels, self.whole_from = image_size, max_megapixels, whole_from
        self._transform = JointTransform(image_size=image_size, augment=augment)
        self._cache: dict[Source, PixelArray] = {}
        self._cache_bytes = self._room = cache_bytes
        self._cached_size = load_size

    def __len__(self) -> int:
        """Images in a pass over the longer domain."""
        return max(len(self.split.a), len(self.split.b))

    def __getitem__(self, position: int) -> Sample:
        """The training sample at a position of the stream, 0 or more."""
        size = self.load_size if self.whole_from is None or position < self.whole_from else self.image_size
        seed_a, seed_b = np.random.SeedSequence((self.seed, position)).generate_state(2)
        if not self.split.a:
            index = self._place(len(self.split.b), position, domain=0)
            b = self._transform.one(self._read(self.split.b[index], "b", size), seed=int(seed_b), is_input=False)
            return self._alone(b, index)
        a = self._read(self._pick(self.split.a, position, domain=0), "a", size)
        b = self._read(self._pick(self.split.b, position, domain=0 if self.paired else 1), "b", size)
        if self.paired:
            a, b = self._transform.pair(a, b, seed=int(seed_a))
        else:
            a = self._transform.one(a, seed=int(seed_a), is_input=True)
            b = self._transform.one(b, seed=int(seed_b), is_input=False)
        return self._tensors(a, b)

    def fixed(self, count: int) -> Sample:
        """A batch of `count` images spread over the split, whole and unchanged, to look at."""
        samples = []
        for index in range(count):
            if not self.split.a:
                own = index * len(self.split.b) // count
                samples.append(self._alone(resized(self._whole(self.split.b[own], "b"), self.image_size), own))
                continue
            a, b = (
                resized(self._whole(sources[index * len(sources) // count], domain), self.image_size)
                for sources, domain in ((self.split.a, "a"), (self.split.b, "b"))
            )
            samples.append(self._tensors(a, b))
        batch: Sample = default_collate(samples)
        return batch

    def _pick(self, sources: tuple[Source, ...], position: int, *, domain: int) -> Source:
        return sources[self._place(len(sources), position, domain=domain)]

    def _place(self, count: int, position: int, *, domain: int) -> int:
        turn, index = divmod(position, count)
        return _order(self.seed, turn, domain, count)[index]

    def depths(self) -> tuple[int, int]:
        """Bits of a level in each domain, 8 or 16 (32 for floats), as its first image has."""
        b = 8 * self._whole(self.split.b[0], "b").dtype.itemsize
        return (8 * self._whole(self.split.a[0], "a").dtype.itemsize if self.split.a else b), b

    def _read(self, source: Source, domain: str, size: int) -> PixelArray:
        if size != self._cached_size:  # once in a run, where crops end
            self._cache.clear()
            self._cached_size, self._room = size, self._cache_bytes
        if source not in self._cache:
            pixels = np.ascontiguousarray(resized(self._whole(source, domain), size))
            if pixels.nbytes > self._room:
                return pixels
            self._room -= pixels.nbytes
            self._cache[source] = pixels
        return self._cache[source]

    def _whole(self, source: Source, domain: str) -> PixelArray:
        channels = self.channels["ab".index(domain)]
        return read_source(source, channels=channels, max_megapixels=self.max_megapixels)

    def _alone(self, b: PixelArray, index: int) -> Sample:
        sample = {"b": to_tensor(b, self.channels[1])}
        return sample | {"label": torch.tensor(self.split.labels[index])} if self.split.labels else sample

    def _tensors(self, a: PixelArray, b: PixelArray) -> Sample:
        return {"a": to_tensor(a, self.channels[0]), "b": to_tensor(b, self.channels[1])}


@functools.lru_cache(maxsize=4)
def _order(seed: int, turn: int, domain: int, count: int) -> list[int]:
    order: list[int] = np.random.default_rng((seed, turn, domain)).permutation(count).tolist()
    return order


def read_source(source: Source, *, channels: int, max_megapixels: float = MAX_MEGAPIXELS) -> PixelArray:
    """The levels of a file, or of the half of it that a source names, for a network of so many channels.

    Raises:
        ImageError: it can't be read, or has other channels; the message says what to give.
    """
    image = _decoded(source.path, max_megapixels)
    try:
        pixels = match_channels(image, channels)
    except ImageError as error:
        raise ImageError(f"{source.path}: {error}; --channels of the training says how many") from None
    return source.of(pixels)


# Both halves of a file are asked for one after the other.
@functools.lru_cache(maxsize=2)
def _decoded(path: Path, max_megapixels: float) -> DecodedImage:
    return read(path, max_megapixels=max_megapixels)
