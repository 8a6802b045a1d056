"""The image contract: the only place where ranges and layouts change.

Inside, a picture is float (N, C, H, W) in [-1, 1]. At the door it is levels, uint8 or uint16 (H, W, C), rounded to
nearest, so that a network that changes nothing gives back the same picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.errors import ImageError
from i2i.picture import Levels, Picture, from_pil, read, to_pil

ImageLike: TypeAlias = Image.Image | NDArray[Any] | Tensor | str | Path | bytes | Picture


class Entered(NamedTuple):
    """A picture inside: pixels (N, in_channels, H, W), and the way out for (N, out_channels, H, W)."""

    pixels: Tensor
    leave: Callable[[Tensor], Any]


def enter(image: ImageLike, channels: int) -> Entered:
    """Bring a picture of any kind inside, with a function that gives a result of the kind that came in.

    A PIL image gives a PIL image, and so do a path and the bytes of a file. Integer arrays (H, W) or (H, W, C) and
    integer tensors (C, H, W) or (N, C, H, W) hold levels (uint8 or uint16); float ones hold [-1, 1]. An array gives
    an array, a tensor a tensor, of its type, shape and device. Alpha and colour profile are carried through, and a
    grey picture whose result has no colour stays grey.

    Raises:
        ImageError: it can't be read, or has a type, shape or range that isn't any of these.
    """
    if isinstance(image, Picture):
        return _enter_picture(image, channels)
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise ImageError(f"a picture of {image.width} x {image.height} pixels; it is empty")
        return _through(from_pil(image), to_pil, channels)
    if isinstance(image, str | Path | bytes):
        return _through(read(image), to_pil, channels)
    if isinstance(image, np.ndarray):
        return _enter_array(image, channels)
    if isinstance(image, Tensor):
        return _enter_tensor(image, channels)
    raise ImageError(f"a {type(image).__name__} is no picture; give a PIL image, an array, a tensor, a path or bytes")


def _through(picture: Picture, out: Callable[[Picture], Any], channels: int) -> Entered:
    pixels, leave = _enter_picture(picture, channels)
    return Entered(pixels, lambda result: out(leave(result)))


def _enter_picture(picture: Picture, channels: int) -> Entered:
    def leave(result: Tensor) -> Picture:
        levels = to_levels(result[0], picture.levels.dtype)
        given = picture.levels.shape[-1]
        if given == 1 and (levels == levels[..., :1]).all():
            levels = np.ascontiguousarray(levels[..., :1])
        # A grey profile does not describe colours, nor the other way round.
        return Picture(levels, picture.alpha, picture.icc if levels.shape[-1] == given else None)

    return Entered(to_tensor(picture.levels, channels)[None], leave)


def _enter_array(array: NDArray[Any], channels: int) -> Entered:
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}; a picture is (H, W) or (H, W, C)")
    levels = array[..., None] if array.ndim == 2 else array
    if np.issubdtype(array.dtype, np.floating):
        tensor = torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1), dtype=np.float32))
        pixels, leave = _enter_tensor(tensor, channels)

        def leave_float(result: Tensor) -> NDArray[Any]:
            values: NDArray[Any] = leave(result).numpy().transpose(1, 2, 0).astype(array.dtype)
            return values[..., 0] if array.ndim == 2 and values.shape[-1] == 1 else values

        return Entered(pixels, leave_float)
    if array.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"an array of {array.dtype}; give uint8 or uint16 levels, or floats in [-1, 1]")
    has_alpha = levels.shape[-1] in (2, 4) and levels.shape[-1] != channels
    picture = Picture(levels[..., :-1], levels[..., -1]) if has_alpha else Picture(levels)

    def out(result: Picture) -> NDArray[Any]:
        if result.alpha is not None:
            return np.concatenate([result.levels, result.alpha[..., None]], axis=-1)
        return result.levels[..., 0] if array.ndim == 2 and result.levels.shape[-1] == 1 else result.levels

    return _through(picture, out, channels)


def _enter_tensor(tensor: Tensor, channels: int) -> Entered:
    if tensor.dim() not in (3, 4) or 0 in tensor.shape:
        raise ImageError(f"a tensor of shape {tuple(tensor.shape)}; a picture is (C, H, W), several are (N, C, H, W)")
    if tensor.dim() == 4:
        each = [_enter_tensor(one, channels) for one in tensor]

        def leave_all(result: Tensor) -> Tensor:
            left = [one.leave(y[None]) for one, y in zip(each, result, strict=True)]
            most = max(map(len, left))
            # Where some of a grey batch have colour, the others are grey in as many channels.
            return torch.stack([y if len(y) == most else torch.cat([y[:1].expand(3, -1, -1), y[1:]]) for y in left])

        return Entered(torch.cat([one.pixels for one in each]), leave_all)
    if not tensor.is_floating_point():
        pixels, leave_array = _enter_array(tensor.cpu().numpy().transpose(1, 2, 0), channels)

        def leave_levels(result: Tensor) -> Tensor:
            levels = np.ascontiguousarray(leave_array(result).transpose(2, 0, 1))
            return torch.from_numpy(levels).to(tensor.device)

        return Entered(pixels, leave_levels)
    low, high = float(tensor.min()), float(tensor.max())
    if not -1.001 <= low <= high <= 1.001:
        raise ImageError(f"floats from {low:.4g} to {high:.4g}; a float picture lies in [-1, 1], levels are uint8")

    def leave(result: Tensor) -> Tensor:
        colourless = len(tensor) == 1 and bool((result[0] == result[0, :1]).all())
        return (result[0, :1] if colourless else result[0]).to(tensor)

    return Entered(_with_channels(tensor.detach().float(), channels)[None], leave)


def _with_channels(pixels: Tensor, channels: int) -> Tensor:
    """(C, H, W) with as many channels as a network takes: grey repeated, colour turned grey (BT.601)."""
    if len(pixels) == channels:
        return pixels
    if len(pixels) == 1:
        return pixels.expand(channels, -1, -1)
    if len(pixels) == 3 and channels == 1:
        return (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    raise ImageError(f"a picture of {len(pixels)} channels where {channels} are needed")


def to_tensor(levels: Levels, channels: int) -> Tensor:
    """Levels (H, W, C) to float (channels, H, W) in [-1, 1]; grey is repeated, colour is turned grey, where asked.

    Raises:
        ImageError: the picture has another number of channels and neither is 1.
    """
    half = np.float32(np.iinfo(levels.dtype).max / 2)
    values = np.ascontiguousarray((levels.astype(np.float32) / half - 1).transpose(2, 0, 1))
    return _with_channels(torch.from_numpy(values), channels)


def to_levels(image: Tensor, depth: np.dtype[Any] | type = np.uint8) -> Levels:
    """Float (C, H, W) in [-1, 1] to levels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    half = np.iinfo(depth).max / 2
    values = (image.detach().double().cpu().clamp(-1, 1) + 1) * half
    return np.ascontiguousarray(values.round().numpy().transpose(1, 2, 0).astype(depth))


class Frame(NamedTuple):
    """Where a picture lies in the padded one."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, x: Tensor) -> Tensor:
        """Cut the picture out of (..., H, W)."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


def pad(x: Tensor, *, multiple: int, smallest: int = 1) -> tuple[Tensor, Frame]:
    """Mirror (..., H, W) outwards, however far, until both sides are multiples of a number and large enough."""
    height, width = x.shape[-2:]
    rows, top = _mirrored(height, multiple, smallest)
    columns, left = _mirrored(width, multiple, smallest)
    frame = Frame(top, left, height, width)
    if len(rows) == height and len(columns) == width:
        return x, frame
    return x[..., rows.to(x.device), :][..., columns.to(x.device)], frame


def _mirrored(size: int, multiple: int, smallest: int) -> tuple[Tensor, int]:
    needed = -(-max(size, smallest) // multiple) * multiple
    before = (needed - size) // 2
    period = max(2 * (size - 1), 1)
    place = (torch.arange(needed) - before) % period
    return torch.where(place < size, place, period - place), before
