"""Pixels to values in [-1, 1] and back: the only place where ranges and layouts change.

Values are NumPy arrays, or tensors of PyTorch where a caller gave tensors; neither needs the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, full_scale

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = "NDArray[Any] | Tensor"
A = TypeVar("A", bound=Array)

BT601 = (0.299, 0.587, 0.114)  # luminance of red, green and blue


def match_channels(image: DecodedImage, channels: int) -> PixelArray:
    """Return the pixels (H, W, C) that a network of `channels` channels takes.

    Networks of 2 and 4 channels take alpha as the last one, opaque where an image has none.

    Raises:
        ImageError: the image has other channels, and isn't grey or RGB that `with_channels` could convert.
    """
    pixels = image.pixels
    if channels in (2, 4) and pixels.shape[-1] in (1, 3):
        opaque = np.full(pixels.shape[:2], full_scale(pixels.dtype), pixels.dtype)
        alpha = opaque if image.alpha is None else image.alpha
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    check_channels(pixels.shape[-1], channels)
    return pixels


def looks_transposed(shape: tuple[int, ...], channels: int) -> bool:
    """Whether a shape taken for (C, H, W) is channels-last: only its last axis is short, or `channels` long."""
    few = [count <= 4 or count == channels for count in shape]
    return few == [False, False, True]


def check_channels(given: int, channels: int) -> None:
    """Raise ImageError unless an image of `given` channels can be converted for a network of `channels`."""
    if given != channels and not {given, channels} <= {1, 3} and not {given, channels} <= {2, 4}:
        raise ImageError(f"an image of {given} channels where {channels} are needed")


def with_channels(values: A, channels: int) -> A:
    """Convert (C, H, W) to `channels` channels: grey is repeated, RGB becomes grey (ITU-R BT.601), alpha is kept."""
    if len(values) == channels:
        return values
    check_channels(len(values), channels)
    if channels in (2, 4):
        return concatenate([cast(A, with_channels(values[:-1], channels - 1)), cast(A, values[-1:])])
    if len(values) == 1:
        return concatenate([values] * channels)
    red, green, blue = (values[index : index + 1] * weight for index, weight in enumerate(BT601))
    return cast(A, red + green + blue)


def to_array(pixels: PixelArray, channels: int) -> NDArray[np.float32]:
    """Convert pixels (H, W, C) to float32 (channels, H, W) in [-1, 1]; see `with_channels`.

    Raises:
        ImageError: the image has another number of channels and isn't grey or RGB.
    """
    values = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    values /= np.float32(full_scale(pixels.dtype) / 2)
    values -= 1
    return with_channels(values, channels)


def to_pixels(image: Array, depth: np.dtype[Any] | type = np.uint8) -> PixelArray:
    """Convert float (C, H, W) in [-1, 1] to pixels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    values = np.clip(as_array(image), -1, 1, dtype=np.float64)
    values += 1
    values *= full_scale(np.dtype(depth)) / 2
    if np.issubdtype(depth, np.integer):
        np.rint(values, out=values)
    return np.ascontiguousarray(values.astype(depth).transpose(1, 2, 0))


def as_array(values: Array) -> NDArray[Any]:
    """Values in main memory, as an array; bfloat16, which NumPy lacks, as float32."""
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu()
    array: NDArray[Any] = (values.float() if values.element_size() == 2 else values).numpy()
    return array


def as_float32(values: A) -> A:
    """Values as float32, where they are."""
    return cast(A, values.astype(np.float32, copy=False) if isinstance(values, np.ndarray) else values.float())


def like(values: Array, other: A) -> A:
    """Values as an array or a tensor, whatever the other is, and where that is."""
    if isinstance(other, np.ndarray):
        return cast(A, as_array(values))
    import torch

    return cast(A, torch.as_tensor(values).to(other.device))


def empty_like(values: A, shape: Sequence[int]) -> A:
    """Memory for values of a shape, of the same type and in the same place."""
    return cast(A, np.empty(shape, values.dtype) if isinstance(values, np.ndarray) else values.new_empty(shape))


def concatenate(parts: Sequence[A]) -> A:
    """Join along the first axis: tensors on the device of the first tensor, where arrays are among them too."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return cast(A, parts[0] if len(parts) == 1 else np.concatenate(cast(Any, parts)))
    import torch

    device = next(part.device for part in parts if isinstance(part, torch.Tensor))
    return cast(A, torch.cat([torch.as_tensor(part).to(device) for part in parts]))
