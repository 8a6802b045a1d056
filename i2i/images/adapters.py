"""Adapters between what a caller passes as an image and the tensors of a network.

Inside, an image is float (N, C, H, W) in [-1, 1]; outside it is uint8 or uint16 pixels (H, W, C), rounded to nearest,
or floats of a range. A network that changes nothing gives back the identical image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, all_channels, as_depth
from i2i.images.inputs import ImageLike, ValueRange, check_range, path_or_bytes, plain_array, plain_tensor
from i2i.images.pillow import from_pil, to_pil
from i2i.images.reading import read
from i2i.images.tensors import check_channels, match_channels, to_pixels, to_tensor, with_channels


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
        return _DecodedAdapter(image, channels=channels, widen_to_16_bit=widen_to_16_bit)
    if isinstance(image, np.ndarray):
        array = plain_array(image, channels=channels)
        if np.issubdtype(array.dtype, np.floating):
            return _FloatArrayAdapter(array, channels=channels, value_range=value_range)
        return _IntegerArrayAdapter(array, channels=channels)
    if isinstance(image, Tensor):
        tensor = plain_tensor(image, channels=channels)
        return _TensorAdapter(tensor, channels=channels, value_range=value_range)
    decoded = _decoded(image) if isinstance(image, Image.Image) else read(path_or_bytes(image))
    return _PILAdapter(decoded, channels=channels, widen_to_16_bit=widen_to_16_bit)


class ImageAdapter(ABC):
    """Reads an image, and writes its result, region by region, so that neither is ever a tensor as a whole.

    Attributes:
        shape: number of images, height, width.
    """

    shape: tuple[int, int, int]

    @abstractmethod
    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the pixels at these rows and columns, float32 (N, in_channels, rows, columns) in [-1, 1].

        Args:
            rows: indices of rows, which may repeat, as those of a padded image do.
            columns: indices of columns.
        """

    @abstractmethod
    def write(self, tile: Tensor, *, top: int, left: int) -> None:
        """Store a part of the network's output; the first one sets the number of output channels.

        Args:
            tile: (N, out_channels, h, w) in [-1, 1].
            top: its first row in the image.
            left: its first column in the image.
        """

    @abstractmethod
    def result(self) -> Any:
        """Return the written image, of the type that came in; every pixel must have been written."""


class InvertedAdapter(ImageAdapter):
    """Reads images that are mostly dark as their negatives, such as white lines on black; alpha stays as it is."""

    def __init__(self, adapter: ImageAdapter) -> None:
        self._adapter, self.shape = adapter, adapter.shape
        rows, columns = (torch.linspace(0, side - 1, min(side, 256)).long() for side in self.shape[1:])
        self._signs = torch.where(self._colours(adapter.read(rows, columns)).flatten(1).median(1).values < 0, -1, 1)

    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        images = self._adapter.read(rows, columns)
        colours = self._colours(images) * self._signs.to(images)[:, None, None, None]
        return torch.cat([colours, images[:, colours.shape[1] :]], dim=1)

    def write(self, tile: Tensor, *, top: int, left: int) -> None:
        self._adapter.write(tile, top=top, left=left)

    def result(self) -> Any:
        return self._adapter.result()

    @staticmethod
    def _colours(images: Tensor) -> Tensor:
        return images[:, :-1] if images.shape[1] in (2, 4) else images


class _DecodedAdapter(ImageAdapter):
    """For a DecodedImage; gives a DecodedImage."""

    def __init__(self, image: DecodedImage, *, channels: int, widen_to_16_bit: bool = False) -> None:
        self.shape = (1, *image.pixels.shape[:2])
        self._image = image
        self._channels = channels
        self._input = match_channels(image, channels)
        depth = image.pixels.dtype
        self._depth = np.dtype(np.uint16) if widen_to_16_bit and depth == np.uint8 else depth
        self._output: PixelArray | None = None

    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        pixels = self._input
        if not (_are_all(rows, pixels.shape[0]) and _are_all(columns, pixels.shape[1])):
            pixels = pixels[rows.numpy()[:, None], columns.numpy()]
        return to_tensor(pixels, self._channels)[None]

    def write(self, tile: Tensor, *, top: int, left: int) -> None:
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


class _PILAdapter(_DecodedAdapter):
    """For a PIL image, or an image file that was read; gives a PIL image."""

    def result(self) -> Image.Image:
        return to_pil(super().result())


class _IntegerArrayAdapter(_DecodedAdapter):
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


class _FloatArrayAdapter(ImageAdapter):
    """For floats (H, W) or (H, W, C); gives such an array."""

    def __init__(self, array: NDArray[Any], *, channels: int, value_range: ValueRange | None) -> None:
        pixels = array[..., None] if array.ndim == 2 else array
        tensor = torch.from_numpy(np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C"))
        check_channels(len(tensor), channels)
        check_range(float(array.min()), float(array.max()), value_range=value_range)
        self._array = array
        self._tensor = _FloatAdapter(tensor, channels=channels, value_range=value_range)
        self.shape = self._tensor.shape

    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        return self._tensor.read(rows, columns)

    def write(self, tile: Tensor, *, top: int, left: int) -> None:
        self._tensor.write(tile, top=top, left=left)

    def result(self) -> NDArray[Any]:
        return _like(self._array, self._tensor.result().numpy().transpose(1, 2, 0))


class _TensorAdapter(ImageAdapter):
    """For a tensor (C, H, W) or (N, C, H, W), of pixels or of floats; gives such a tensor."""

    def __init__(self, tensor: Tensor, *, channels: int, value_range: ValueRange | None) -> None:
        images = tensor if tensor.dim() == 4 else tensor[None]
        self.shape = (len(images), *images.shape[2:])
        self._tensor = tensor
        self._images: list[ImageAdapter]
        if tensor.is_floating_point():
            check_channels(images.shape[1], channels)
            check_range(float(tensor.min()), float(tensor.max()), value_range=value_range)
            self._images = [_FloatAdapter(image, channels=channels, value_range=value_range) for image in images]
        else:
            arrays = [image.cpu().numpy().transpose(1, 2, 0) for image in images]
            self._images = [_IntegerArrayAdapter(array, channels=channels) for array in arrays]

    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        return torch.cat([image.read(rows, columns) for image in self._images])

    def write(self, tile: Tensor, *, top: int, left: int) -> None:
        for image, part in zip(self._images, tile, strict=True):
            image.write(part[None], top=top, left=left)

    def result(self) -> Tensor:
        results = [self._as_tensor(image.result()) for image in self._images]
        if self._tensor.dim() == 3:
            return results[0]
        channels = max(map(len, results))
        # Where some of a grey batch have colour, the others are grey in as many channels.
        return torch.stack([y if len(y) == channels else torch.cat([y[:1].expand(3, -1, -1), y[1:]]) for y in results])

    def _as_tensor(self, result: Tensor | NDArray[Any]) -> Tensor:
        if isinstance(result, Tensor):
            return result
        return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1))).to(self._tensor.device)


class _FloatAdapter(ImageAdapter):
    """For a float tensor (C, H, W) of a range, on any device; gives such a tensor."""

    def __init__(self, tensor: Tensor, *, channels: int, value_range: ValueRange | None) -> None:
        self.shape = (1, *tensor.shape[1:])
        self._tensor = tensor
        self._channels = channels
        self._range = value_range or (-1, 1)
        self._output: Tensor | None = None

    def read(self, rows: Tensor, columns: Tensor) -> Tensor:
        device = self._tensor.device
        values = self._tensor[..., rows.to(device), :][..., columns.to(device)].float()
        black, white = self._range
        if (black, white) != (-1, 1):
            values = (values - black) * (2 / (white - black)) - 1
        return with_channels(values, self._channels)[None]

    def write(self, tile: Tensor, *, top: int, left: int) -> None:
        values = tile[0]
        channels, height, width = values.shape
        black, white = self._range
        if (black, white) != (-1, 1):
            values = (values + 1) * ((white - black) / 2) + black
        if self._output is None:
            self._output = self._tensor.new_empty((channels, *self.shape[1:]))
        self._output[:, top : top + height, left : left + width] = values

    def result(self) -> Tensor:
        output = self._output
        assert output is not None, "nothing was written"
        is_grey = len(self._tensor) == 1 and bool((output == output[:1]).all())
        return output[:1] if is_grey else output


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


def _like(array: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Values (H, W, C) of the type of an array, and (H, W) where that is and C is 1."""
    flat = values[..., 0] if array.ndim == 2 and values.shape[-1] == 1 else values
    return flat.astype(array.dtype, copy=False)


def _are_all(indices: Tensor, count: int) -> bool:
    """Whether the indices are 0, 1, ..., count - 1, so that nothing need be copied."""
    return len(indices) == count and bool((indices[1:] - indices[:-1] == 1).all())
