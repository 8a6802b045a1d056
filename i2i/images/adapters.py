"""The image contract: the only place where ranges and layouts change.

Inside, an image is float (N, C, H, W) in [-1, 1]. At the door it is levels, uint8 or uint16 (H, W, C), rounded to
nearest, so that a network that changes nothing gives back the same image.
"""

from __future__ import annotations

import io
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.errors import ImageError, UsageError
from i2i.images.decoded import DecodedImage, PixelArray, all_channels, as_depth, to_pil
from i2i.images.reading import from_pil, read
from i2i.images.tensors import check_channels, lies_otherwise, match_channels, to_pixels, to_tensor, with_channels

ImageFile: TypeAlias = Image.Image | str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
ImageLike: TypeAlias = ImageFile | NDArray[Any] | Tensor | DecodedImage
ValueRange: TypeAlias = tuple[float, float]

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PACKAGE = str(Path(__file__).parent)


class Canvas(NamedTuple):
    """Where the pieces of a result (N, out_channels, h, w) go, at a top and a left, and what they make in the end."""

    put: Callable[[Tensor, int, int], None]
    leave: Callable[[], Any]


class Opened(NamedTuple):
    """An image at the door, read and given back in pieces, so that it is never inside as a whole.

    Attributes:
        shape: images, height, width.
        read: the rows and columns at these places, as (N, in_channels, rows, columns).
        canvas: a place for the result, of so many channels.
    """

    shape: tuple[int, int, int]
    read: Callable[[Tensor, Tensor], Tensor]
    canvas: Callable[[int], Canvas]


def open_image(
    image: ImageLike, channels: int, *, widen_to_16_bit: bool = False, value_range: ValueRange | None = None
) -> Opened:
    """Open an image of any kind for a network that takes so many channels.

    A PIL image gives a PIL image, and so do a path, an open file, and the bytes of a file. Integer arrays (H, W) or
    (H, W, C) and integer tensors (C, H, W) or (N, C, H, W) hold levels (uint8 or uint16); float ones hold values of
    `value_range`. An array gives an array, a tensor a tensor, of its type, shape, device and range. Alpha, profile and
    the like are carried through, and a grey image whose result has no colour stays grey. Where a network takes 4
    channels (or 2), alpha is the last.

    Args:
        image: the image.
        channels: what the network takes.
        deepen: give an image or file of 8 bit a result of 16 bit.
        value_range: black and white of float arrays and tensors, such as (0, 1); (-1, 1) unless given, with a warning
            where none of the values is below 0. Files of floats always hold [0, 1].

    Raises:
        ImageError: it can't be read, or has a type, shape or range that isn't any of these.
        UsageError: `value_range` is no range.
    """
    if isinstance(image, DecodedImage):
        return _open_image(image, channels, widen_to_16_bit=widen_to_16_bit)
    if isinstance(image, np.ndarray):
        return _open_array(_plain_array(image), channels, value_range)
    if isinstance(image, Tensor):
        return _open_tensor(_plain_tensor(image), channels, value_range)
    decoded = _from_pil(image) if isinstance(image, Image.Image) else read(_source(image))
    return _through(_open_image(decoded, channels, widen_to_16_bit=widen_to_16_bit), to_pil)


def _from_pil(image: Image.Image) -> DecodedImage:
    if 0 in image.size:
        raise ImageError(f"an image of {image.width} x {image.height} pixels; it is empty")
    try:
        return from_pil(image)
    except ImageError:
        raise
    except Exception as error:  # of an image that was closed, or whose file is damaged
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise ImageError(f"a PIL image that can't be read: {said}") from None


def _source(image: object) -> str | Path | bytes:
    """A path, or the bytes of a file that is open or in memory; a file is read from its start, as Pillow does."""
    if isinstance(image, str | os.PathLike):
        return Path(os.fsdecode(image))
    try:
        if isinstance(image, bytes | bytearray | memoryview):
            return bytes(image)
        if not callable(getattr(image, "read", None)):
            raise ImageError(_no_image(image))
        file: Any = image
        with suppress(AttributeError, io.UnsupportedOperation):
            file.seek(0)
        data = file.read()
    except (OSError, ValueError) as error:
        raise error if isinstance(error, ImageError) else ImageError(f"a file that can't be read: {error}") from None
    if not isinstance(data, bytes):
        raise ImageError("a file that was opened as text; open it in binary mode: open(path, 'rb')")
    return data


def _no_image(image: object) -> str:
    if isinstance(image, list | tuple):
        return f"a {type(image).__name__} is no image; for several images use Translator.load(model).batch(images)"
    return f"a {type(image).__name__} is no image; give a PIL image, an array, a tensor, a path, bytes, or an open file"


def _plain_array(array: NDArray[Any]) -> NDArray[Any]:
    if isinstance(array, np.ma.MaskedArray):
        raise ImageError("a masked array, whose mask would be lost; fill it first: image.filled(0)")
    if type(array) not in (np.ndarray, np.memmap):
        raise ImageError(f"a numpy {type(array).__name__}; give a plain array: numpy.asarray(image)")
    return array.view(np.ndarray)


def _plain_tensor(tensor: Tensor) -> Tensor:
    """The same values without subclass or gradient.

    Raises:
        ImageError: they aren't all there, as in a sparse tensor, or are no numbers that an image has.
    """
    kind = type(tensor).__name__
    if type(tensor).__torch_dispatch__ != Tensor.__torch_dispatch__:
        raise ImageError(f"a {kind}, which may hold no values of its own; give a plain tensor")
    if tensor.layout is not torch.strided or tensor.is_nested:
        raise ImageError("a sparse or nested tensor; give a dense one: image.to_dense()")
    if tensor.is_meta:
        raise ImageError("a tensor on the meta device, which holds no values")
    if tensor.is_quantized:
        raise ImageError("a quantized tensor; give its values: image.dequantize()")
    if tensor.dtype not in (torch.uint8, torch.uint16, *_FLOATS):
        raise ImageError(f"a tensor of {tensor.dtype}; give uint8 or uint16 levels, or floats (16 bit or more)")
    return tensor.detach().as_subclass(Tensor).resolve_neg()


def _through(opened: Opened, out: Callable[[Any], Any]) -> Opened:
    """With a last step on the way out."""

    def canvas(channels: int) -> Canvas:
        inner = opened.canvas(channels)
        return Canvas(inner.put, lambda: out(inner.leave()))

    return opened._replace(canvas=canvas)


def _open_image(image: DecodedImage, channels: int, *, widen_to_16_bit: bool = False) -> Opened:
    given = image.pixels.shape[-1]
    seen = match_channels(image, channels)
    depth = np.dtype(np.uint16) if widen_to_16_bit and image.pixels.dtype == np.uint8 else image.pixels.dtype

    def piece(rows: Tensor, columns: Tensor) -> Tensor:
        return to_tensor(_cut(seen, rows, columns), channels)[None]

    def canvas(channels: int) -> Canvas:
        result = np.empty((*image.pixels.shape[:2], channels), depth)

        def put(part: Tensor, top: int, left: int) -> None:
            pixels = to_pixels(part[0], result.dtype)
            result[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels

        return Canvas(put, lambda: leave(result))

    def leave(pixels: PixelArray) -> DecodedImage:
        alpha = image.alpha if seen is image.pixels else None
        if pixels.shape[-1] in (2, 4) and given in (1, 3):
            pixels, alpha = pixels[..., :-1], pixels[..., -1]
        if given == 1 and (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        # A grey profile does not describe colours, nor the other way round.
        icc = image.icc if pixels.shape[-1] == given else None
        alpha = None if alpha is None else as_depth(alpha, pixels.dtype)
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha, icc=icc)

    return Opened((1, *image.pixels.shape[:2]), piece, canvas)


def _open_array(array: NDArray[Any], channels: int, value_range: ValueRange | None) -> Opened:
    if array.ndim == 4:
        raise ImageError(f"an array of shape {array.shape}; an image is (H, W) or (H, W, C), several go to .batch()")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}; an image is (H, W) or (H, W, C)")
    if array.ndim == 3 and lies_otherwise(array.shape[::-1], channels):
        raise ImageError(
            f"an array of shape {array.shape} looks like (C, H, W), and arrays are (H, W, C): image.transpose(1, 2, 0)"
        )
    pixels = array[..., None] if array.ndim == 2 else array

    def as_given(values: NDArray[Any]) -> NDArray[Any]:
        flat = values[..., 0] if array.ndim == 2 and values.shape[-1] == 1 else values
        return flat.astype(array.dtype, copy=False)

    if np.issubdtype(array.dtype, np.floating):
        check_channels(pixels.shape[-1], channels)
        _check_range(float(array.min()), float(array.max()), value_range)
        tensor = torch.from_numpy(np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C"))
        opened = _open_floats(tensor, channels, value_range)
        return _through(opened, lambda result: as_given(result.numpy().transpose(1, 2, 0)))
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if native.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"an array of {array.dtype}; give uint8 or uint16 levels, or floats")
    has_alpha = native.shape[-1] in (2, 4) and native.shape[-1] != channels
    image = DecodedImage(native[..., :-1], native[..., -1]) if has_alpha else DecodedImage(native)
    return _through(_open_image(image, channels), lambda result: as_given(all_channels(result)))


def _open_tensor(tensor: Tensor, channels: int, value_range: ValueRange | None) -> Opened:
    shape = tuple(tensor.shape)
    if tensor.dim() not in (3, 4) or 0 in shape:
        raise ImageError(f"a tensor of shape {shape}; an image is (C, H, W), several are (N, C, H, W)")
    if lies_otherwise(shape[-3:], channels):
        mend = "image.permute(2, 0, 1)" if tensor.dim() == 3 else "images.permute(0, 3, 1, 2)"
        raise ImageError(f"a tensor of shape {shape} looks like (H, W, C), and tensors are (C, H, W): {mend}")
    if tensor.is_floating_point():
        check_channels(shape[-3], channels)
        _check_range(float(tensor.min()), float(tensor.max()), value_range)
    each = [_open_one(one, channels, value_range) for one in (tensor if tensor.dim() == 4 else tensor[None])]
    return _open_tensors(each) if tensor.dim() == 4 else each[0]


def _open_one(tensor: Tensor, channels: int, value_range: ValueRange | None) -> Opened:
    if tensor.is_floating_point():
        return _open_floats(tensor, channels, value_range)

    def pixels(result: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1))).to(tensor.device)

    return _through(_open_array(tensor.cpu().numpy().transpose(1, 2, 0), channels, None), pixels)


def _open_floats(tensor: Tensor, channels: int, value_range: ValueRange | None) -> Opened:
    low, high = value_range or (-1, 1)
    plain = (low, high) == (-1, 1)

    def piece(rows: Tensor, columns: Tensor) -> Tensor:
        pixels = _cut_last(tensor, rows, columns).float()
        return with_channels(pixels if plain else (pixels - low) * (2 / (high - low)) - 1, channels)[None]

    def canvas(channels: int) -> Canvas:
        whole = tensor.new_empty((channels, *tensor.shape[1:]))

        def put(part: Tensor, top: int, left: int) -> None:
            values = part[0] if plain else (part[0] + 1) * ((high - low) / 2) + low
            whole[:, top : top + part.shape[2], left : left + part.shape[3]] = values

        def leave() -> Tensor:
            return whole[:1] if len(tensor) == 1 and bool((whole == whole[:1]).all()) else whole

        return Canvas(put, leave)

    return Opened((1, *tensor.shape[1:]), piece, canvas)


def _check_range(least: float, most: float, value_range: ValueRange | None) -> None:
    """Refuse values outside of their range, and warn where they may be of another one than is taken unless given."""
    try:
        low, high = map(float, value_range or (-1, 1))
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (low < high and math.isfinite(high - low)):
        raise UsageError(f"value_range {value_range!r}: give the values of black and white, such as (0, 1)")
    if not (math.isfinite(least) and math.isfinite(most)):
        raise ImageError("some of its values are NaN or infinite; fill them first")
    slack = (high - low) / 2000
    if not low - slack <= least <= most <= high + slack:
        raise ImageError(
            f"floats from {least:.4g} to {most:.4g}, outside of [{low:g}, {high:g}]; give value_range=(BLACK, WHITE), "
            "or uint8 levels"
        )
    if value_range is None and least >= 0:
        said = "a float image without values below 0 is read as [-1, 1]; where white is 1 and black 0 give "
        warnings.warn(f"{said}value_range=(0, 1), else value_range=(-1, 1)", stacklevel=_callers_level())


def _callers_level() -> int:
    """How many calls above this function's caller the code stands that called i2i."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _open_tensors(each: Sequence[Opened]) -> Opened:
    def canvas(channels: int) -> Canvas:
        canvases = [one.canvas(channels) for one in each]

        def put(part: Tensor, top: int, left: int) -> None:
            for one, its in zip(canvases, part, strict=True):
                one.put(its[None], top, left)

        def leave() -> Tensor:
            left = [one.leave() for one in canvases]
            most = max(map(len, left))
            # Where some of a grey batch have colour, the others are grey in as many channels.
            return torch.stack([y if len(y) == most else torch.cat([y[:1].expand(3, -1, -1), y[1:]]) for y in left])

        return Canvas(put, leave)

    _, height, width = each[0].shape
    return Opened((len(each), height, width), lambda *indices: torch.cat([one.read(*indices) for one in each]), canvas)


def _cut(array: NDArray[Any], rows: Tensor, columns: Tensor) -> NDArray[Any]:
    """The rows and columns of (H, W, ...) at these places."""
    if len(rows) == array.shape[0] and len(columns) == array.shape[1] and _in_turn(rows) and _in_turn(columns):
        return array
    cut: NDArray[Any] = array[rows.numpy()[:, None], columns.numpy()]
    return cut


def _cut_last(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return x[..., rows.to(x.device), :][..., columns.to(x.device)]


def _in_turn(indices: Tensor) -> bool:
    return bool((indices[1:] - indices[:-1] == 1).all())
