"""Adapters of images in main memory: decoded images, PIL images, and arrays of pixels or of floats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.errors import ImageError
from i2i.images.arrays import (
    Array,
    as_float32,
    check_channels,
    empty_like,
    like,
    match_channels,
    to_array,
    to_pixels,
    with_channels,
)
from i2i.images.decoded import DecodedImage, PixelArray, all_channels, as_depth
from i2i.images.inputs import ValueRange, check_range
from i2i.images.padding import Indices
from i2i.images.pillow import to_pil


class ImageAdapter(ABC):
    """Reads an image, and writes its result, region by region, so that neither is ever float32 as a whole.

    Attributes:
        shape: number of images, height, width.
    """

    shape: tuple[int, int, int]

    @abstractmethod
    def read(self, rows: Indices, columns: Indices) -> Array:
        """Return the pixels at these rows and columns, float32 (N, in_channels, rows, columns) in [-1, 1].

        Args:
            rows: indices of rows, which may repeat, as those of a padded image do.
            columns: indices of columns.
        """

    @abstractmethod
    def write(self, tile: Array, *, top: int, left: int) -> None:
        """Store a part of the network's output; the first one sets the number of output channels.

        Args:
            tile: (N, out_channels, h, w) in [-1, 1].
            top: its first row in the image.
            left: its first column in the image.
        """

    @abstractmethod
    def result(self) -> Any:
        """Return the written image, of the type that came in; every pixel must have been written."""


class DecodedAdapter(ImageAdapter):
    """For a DecodedImage; gives a DecodedImage."""

    def __init__(self, image: DecodedImage, *, channels: int, widen_to_16_bit: bool = False) -> None:
        self.shape = (1, *image.pixels.shape[:2])
        self._image = image
        self._channels = channels
        self._input = match_channels(image, channels)
        depth = image.pixels.dtype
        self._depth = np.dtype(np.uint16) if widen_to_16_bit and depth == np.uint8 else depth
        self._output: PixelArray | None = None

    def read(self, rows: Indices, columns: Indices) -> Array:
        pixels = self._input
        if not (_are_all(rows, pixels.shape[0]) and _are_all(columns, pixels.shape[1])):
            pixels = pixels[rows[:, None], columns]
        return to_array(pixels, self._channels)[None]

    def write(self, tile: Array, *, top: int, left: int) -> None:
        pixels = to_pixels(tile[0], self._depth)
        height, width, channels = pixels.shape
        if self._output is None:
            self._output = np.empty((*self.shape[1:], channels), self._depth)
        self._output[top : top + height, left : left + width] = pixels

    def result(self) -> Any:
        assert self._output is not None, "nothing was written"
        image, pixels = self._image, self._output
        channels = image.pixels.shape[-1]
        alpha = image.alpha if self._input is image.pixels else None  # else it went through the network
        if pixels.shape[-1] in (2, 4) and channels in (1, 3):
            pixels, alpha = pixels[..., :-1], pixels[..., -1]
        if channels == 1 and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        # A grey profile does not describe colours, nor the other way round.
        icc = image.icc if pixels.shape[-1] == channels else None
        alpha = None if alpha is None else as_depth(alpha, pixels.dtype)
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha, icc=icc)


class PILAdapter(DecodedAdapter):
    """For a PIL image, or an image file that was read; gives a PIL image."""

    def result(self) -> Image.Image:
        return to_pil(super().result())


class IntegerArrayAdapter(DecodedAdapter):
    """For uint8 or uint16 pixels (H, W) or (H, W, C), of either byte order; gives such an array."""

    def __init__(self, array: NDArray[Any], *, channels: int) -> None:
        pixels = (array[..., None] if array.ndim == 2 else array).astype(array.dtype.newbyteorder("="), copy=False)
        if pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"an array of {array.dtype}; give uint8 or uint16 pixels, or floats")
        has_alpha = pixels.shape[-1] in (2, 4) and pixels.shape[-1] != channels
        image = DecodedImage(pixels[..., :-1], pixels[..., -1]) if has_alpha else DecodedImage(pixels)
        super().__init__(image, channels=channels)
        self._array = array

    def result(self) -> NDArray[Any]:
        return _like(self._array, all_channels(super().result()))


class FloatAdapter(ImageAdapter):
    """For floats (C, H, W) of a range, an array or a tensor on any device; gives such an array or tensor."""

    def __init__(self, values: Array, *, channels: int, value_range: ValueRange | None) -> None:
        self.shape = (1, *values.shape[1:])
        self._values = values
        self._channels = channels
        self._range = value_range or (-1, 1)
        self._output: Any = None

    def read(self, rows: Indices, columns: Indices) -> Array:
        values: Array = as_float32(self._values[..., rows, :][..., columns])
        black, white = self._range
        if (black, white) != (-1, 1):
            values = (values - black) * (2 / (white - black)) - 1
        return with_channels(values, self._channels)[None]

    def write(self, tile: Array, *, top: int, left: int) -> None:
        values = tile[0]
        channels, height, width = values.shape
        black, white = self._range
        if (black, white) != (-1, 1):
            values = (values + 1) * ((white - black) / 2) + black
        if self._output is None:
            self._output = empty_like(self._values, (channels, *self.shape[1:]))
        self._output[:, top : top + height, left : left + width] = like(values, self._values)

    def result(self) -> Any:
        output = self._output
        assert output is not None, "nothing was written"
        is_grey = len(self._values) == 1 and bool((output == output[:1]).all())
        return output[:1] if is_grey else output


class FloatArrayAdapter(FloatAdapter):
    """For floats (H, W) or (H, W, C); gives such an array."""

    def __init__(self, array: NDArray[Any], *, channels: int, value_range: ValueRange | None) -> None:
        pixels = array[..., None] if array.ndim == 2 else array
        check_channels(pixels.shape[-1], channels)
        check_range(float(array.min()), float(array.max()), value_range=value_range)
        values = np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C")
        super().__init__(values, channels=channels, value_range=value_range)
        self._array = array

    def result(self) -> NDArray[Any]:
        return _like(self._array, super().result().transpose(1, 2, 0))


def _like(array: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Values (H, W, C) of the type of an array, and (H, W) where that is and C is 1."""
    flat = values[..., 0] if array.ndim == 2 and values.shape[-1] == 1 else values
    return flat.astype(array.dtype, copy=False)


def _are_all(indices: Indices, count: int) -> bool:
    """Whether the indices are 0, 1, ..., count - 1, so that nothing need be copied."""
    return len(indices) == count and bool((indices[1:] - indices[:-1] == 1).all())
