"""Adapters between what a caller passes as an image and the values that a network takes.

Inside, an image is float (N, C, H, W) in [-1, 1]; outside it is uint8 or uint16 pixels (H, W, C), rounded to nearest,
or floats of a range. A network that changes nothing gives back the identical image.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image

from i2i.errors import ImageError
from i2i.images.array_adapters import (
    DecodedAdapter,
    FloatArrayAdapter,
    ImageAdapter,
    IntegerArrayAdapter,
    PILAdapter,
)
from i2i.images.arrays import Array, as_array, like
from i2i.images.decoded import DecodedImage
from i2i.images.inputs import ImageLike, ValueRange, path_or_bytes, plain_array
from i2i.images.padding import Indices
from i2i.images.pillow import from_pil
from i2i.images.reading import read


def adapt(
    image: ImageLike, *, channels: int, widen_to_16_bit: bool = False, value_range: ValueRange | None = None
) -> ImageAdapter:
    """Return the adapter of an image for a network that takes `channels` channels.

    A PIL image gives a PIL image, and so do a path, an open file, and the bytes of a file. Integer arrays (H, W) or
    (H, W, C) and integer tensors (C, H, W) or (N, C, H, W) hold pixels (uint8 or uint16); float ones hold values of
    `value_range`. An array gives an array and a tensor a tensor, of the same type, shape, device and range. Alpha,
    colour profile and the like are carried through, and a grey image whose result has no colour stays grey. Where a
    network takes 4 channels (or 2), alpha is the last.

    Args:
        image: the image.
        channels: the network's input channels.
        widen_to_16_bit: give an image or file of 8 bit a result of 16 bit.
        value_range: black and white of float arrays and tensors, such as (0, 1); (-1, 1) unless given, with a warning
            where no value is below 0. Files of floats always hold [0, 1].

    Raises:
        ImageError: it can't be read, or has a type, shape or range that isn't any of these.
        UsageError: `value_range` is not a range.
    """
    if isinstance(image, DecodedImage):
        return DecodedAdapter(image, channels=channels, widen_to_16_bit=widen_to_16_bit)
    if isinstance(image, np.ndarray):
        array = plain_array(image, channels=channels)
        if np.issubdtype(array.dtype, np.floating):
            return FloatArrayAdapter(array, channels=channels, value_range=value_range)
        return IntegerArrayAdapter(array, channels=channels)
    if "torch" in sys.modules:  # else it is no tensor, and PyTorch takes seconds to import
        from torch import Tensor

        from i2i.images.tensor_adapters import TensorAdapter, plain_tensor

        if isinstance(image, Tensor):
            tensor = plain_tensor(image, channels=channels)
            return TensorAdapter(tensor, channels=channels, value_range=value_range)
    decoded = _decoded(image) if isinstance(image, Image.Image) else read(path_or_bytes(image))
    return PILAdapter(decoded, channels=channels, widen_to_16_bit=widen_to_16_bit)


class InvertedAdapter(ImageAdapter):
    """Reads images that are mostly dark as their negatives, such as white lines on black; alpha stays as it is."""

    def __init__(self, adapter: ImageAdapter) -> None:
        self._adapter, self.shape = adapter, adapter.shape
        rows, columns = (np.linspace(0, side - 1, min(side, 256)).astype(np.int64) for side in self.shape[1:])
        images = as_array(adapter.read(rows, columns))
        colours = images.shape[1] - (images.shape[1] in (2, 4))
        dark = np.median(images[:, :colours], axis=(1, 2, 3)) < 0
        self._signs = np.ones((*images.shape[:2], 1, 1), np.float32)
        self._signs[dark, :colours] = -1

    def read(self, rows: Indices, columns: Indices) -> Array:
        images = self._adapter.read(rows, columns)
        return images * like(self._signs, images)

    def write(self, tile: Array, *, top: int, left: int) -> None:
        self._adapter.write(tile, top=top, left=left)

    def result(self) -> Any:
        return self._adapter.result()


def _decoded(image: Image.Image) -> DecodedImage:
    if 0 in image.size:
        raise ImageError(f"an image of {image.width} x {image.height} pixels; it is empty")
    try:
        return from_pil(image)
    except ImageError:
        raise
    except Exception as error:  # of an image that was closed, or whose file is damaged
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ImageError(f"a PIL image that can't be read: {reason}") from None
