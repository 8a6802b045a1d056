"""Small image files as splits and datasets."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from i2i.data import ImageDataset
from i2i.data.layout import Source, Split
from i2i.images.arrays import to_pixels
from i2i.images.decoded import DecodedImage
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


def alone(folder, pixels, *, labels=()):
    """A single set of plain images."""
    return Split((), plain(folder, pixels), tuple(labels))


def many(folder, channels, dtype, *, suffix=".npy", count=3, size=(16, 16)):
    """Files of noise of so many channels."""
    folder.mkdir(parents=True)
    for seed in range(count):
        (folder / f"{seed}{suffix}").write_bytes(
            made(DecodedImage(noise(*size, channels, dtype=dtype, seed=seed)), suffix)
        )
    return tuple(Source(folder / f"{seed}{suffix}") for seed in range(count))
