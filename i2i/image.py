"""The image contract: the only place where ranges and layouts change.

Inside, a picture is float (N, C, H, W) in [-1, 1]. At the door it is levels, uint8 or uint16 (H, W, C), rounded to
nearest, so that a network that changes nothing gives back the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.errors import ImageError
from i2i.picture import Levels, Picture, all_channels, as_depth, from_pil, full_scale, read, to_pil

ImageLike: TypeAlias = Image.Image | NDArray[Any] | Tensor | str | Path | bytes | Picture


class Canvas(NamedTuple):
    """Where the pieces of a result (N, out_channels, h, w) go, at a top and a left, and what they make in the end."""

    put: Callable[[Tensor, int, int], None]
    leave: Callable[[], Any]


class Opened(NamedTuple):
    """A picture at the door, read and given back in pieces, so that it is never inside as a whole.

    Attributes:
        shape: pictures, height, width.
        read: the rows and columns at these places, as (N, in_channels, rows, columns).
        canvas: a place for the result, of so many channels.
    """

    shape: tuple[int, int, int]
    read: Callable[[Tensor, Tensor], Tensor]
    canvas: Callable[[int], Canvas]


def open_image(image: ImageLike, channels: int, *, deepen: bool = False) -> Opened:
    """Open a picture of any kind for a network that takes so many channels.

    A PIL image gives a PIL image, and so do a path and the bytes of a file. Integer arrays (H, W) or (H, W, C) and
    integer tensors (C, H, W) or (N, C, H, W) hold levels (uint8 or uint16); float ones hold [-1, 1]. An array gives
    an array, a tensor a tensor, of its type, shape and device. Alpha, profile and the like are carried through, and a
    grey picture whose result has no colour stays grey. Where a network takes 4 channels (or 2), alpha is the last.

    Args:
        image: the picture.
        channels: what the network takes.
        deepen: give a picture or file of 8 bit a result of 16 bit.

    Raises:
        ImageError: it can't be read, or has a type, shape or range that isn't any of these.
    """
    if isinstance(image, Picture):
        return _open_picture(image, channels, deepen=deepen)
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise ImageError(f"a picture of {image.width} x {image.height} pixels; it is empty")
        return _through(_open_picture(from_pil(image), channels, deepen=deepen), to_pil)
    if isinstance(image, str | Path | bytes):
        return _through(_open_picture(read(image), channels, deepen=deepen), to_pil)
    if isinstance(image, np.ndarray):
        return _open_array(image, channels)
    if isinstance(image, Tensor):
        return _open_tensor(image, channels)
    raise ImageError(f"a {type(image).__name__} is no picture; give a PIL image, an array, a tensor, a path or bytes")


def _through(opened: Opened, out: Callable[[Any], Any]) -> Opened:
    """With a last step on the way out."""

    def canvas(channels: int) -> Canvas:
        inner = opened.canvas(channels)
        return Canvas(inner.put, lambda: out(inner.leave()))

    return opened._replace(canvas=canvas)


def _open_picture(picture: Picture, channels: int, *, deepen: bool = False) -> Opened:
    given = picture.levels.shape[-1]
    seen = levels_for(picture, channels)
    depth = np.dtype(np.uint16) if deepen and picture.levels.dtype == np.uint8 else picture.levels.dtype

    def piece(rows: Tensor, columns: Tensor) -> Tensor:
        return to_tensor(_cut(seen, rows, columns), channels)[None]

    def canvas(channels: int) -> Canvas:
        result = np.empty((*picture.levels.shape[:2], channels), depth)

        def put(part: Tensor, top: int, left: int) -> None:
            levels = to_levels(part[0], result.dtype)
            result[top : top + levels.shape[0], left : left + levels.shape[1]] = levels

        return Canvas(put, lambda: leave(result))

    def leave(levels: Levels) -> Picture:
        alpha = picture.alpha if seen is picture.levels else None
        if levels.shape[-1] in (2, 4) and given in (1, 3):
            levels, alpha = levels[..., :-1], levels[..., -1]
        if given == 1 and (levels == levels[..., :1]).all():
            levels = levels[..., :1]
        # A grey profile does not describe colours, nor the other way round.
        icc = picture.icc if levels.shape[-1] == given else None
        alpha = None if alpha is None else as_depth(alpha, levels.dtype)
        return replace(picture, levels=np.ascontiguousarray(levels), alpha=alpha, icc=icc)

    return Opened((1, *picture.levels.shape[:2]), piece, canvas)


def _open_array(array: NDArray[Any], channels: int) -> Opened:
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}; a picture is (H, W) or (H, W, C)")
    levels = array[..., None] if array.ndim == 2 else array

    def flat(values: NDArray[Any]) -> NDArray[Any]:
        return values[..., 0] if array.ndim == 2 and values.shape[-1] == 1 else values

    if np.issubdtype(array.dtype, np.floating):
        tensor = torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1), dtype=np.float32))
        return _through(
            _open_tensor(tensor, channels), lambda result: flat(result.numpy().transpose(1, 2, 0).astype(array.dtype))
        )
    if array.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"an array of {array.dtype}; give uint8 or uint16 levels, or floats in [-1, 1]")
    has_alpha = levels.shape[-1] in (2, 4) and levels.shape[-1] != channels
    picture = Picture(levels[..., :-1], levels[..., -1]) if has_alpha else Picture(levels)
    return _through(_open_picture(picture, channels), lambda result: flat(all_channels(result)))


def _open_tensor(tensor: Tensor, channels: int) -> Opened:
    if tensor.dim() not in (3, 4) or 0 in tensor.shape:
        raise ImageError(f"a tensor of shape {tuple(tensor.shape)}; a picture is (C, H, W), several are (N, C, H, W)")
    if tensor.dim() == 4:
        return _open_tensors([_open_tensor(one, channels) for one in tensor])
    if not tensor.is_floating_point():

        def levels(result: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1))).to(tensor.device)

        return _through(_open_array(tensor.cpu().numpy().transpose(1, 2, 0), channels), levels)
    low, high = float(tensor.min()), float(tensor.max())
    if not -1.001 <= low <= high <= 1.001:
        raise ImageError(f"floats from {low:.4g} to {high:.4g}; a float picture lies in [-1, 1], levels are uint8")
    _check_channels(len(tensor), channels)

    def piece(rows: Tensor, columns: Tensor) -> Tensor:
        return _with_channels(_cut_last(tensor.detach(), rows, columns).float(), channels)[None]

    def canvas(channels: int) -> Canvas:
        whole = tensor.new_empty((channels, *tensor.shape[1:]))

        def put(part: Tensor, top: int, left: int) -> None:
            whole[:, top : top + part.shape[2], left : left + part.shape[3]] = part[0]

        def leave() -> Tensor:
            return whole[:1] if len(tensor) == 1 and bool((whole == whole[:1]).all()) else whole

        return Canvas(put, leave)

    return Opened((1, *tensor.shape[1:]), piece, canvas)


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
    return Opened((len(each), height, width), lambda *places: torch.cat([one.read(*places) for one in each]), canvas)


def _cut(array: NDArray[Any], rows: Tensor, columns: Tensor) -> NDArray[Any]:
    """The rows and columns of (H, W, ...) at these places."""
    if len(rows) == array.shape[0] and len(columns) == array.shape[1] and _in_turn(rows) and _in_turn(columns):
        return array
    cut: NDArray[Any] = array[rows.numpy()[:, None], columns.numpy()]
    return cut


def _cut_last(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return x[..., rows.to(x.device), :][..., columns.to(x.device)]


def _in_turn(places: Tensor) -> bool:
    return bool((places[1:] - places[:-1] == 1).all())


def levels_for(picture: Picture, channels: int) -> Levels:
    """The levels (H, W, C) that a network of so many channels takes: with alpha as the last of 2 or of 4.

    Where a picture has no alpha it is opaque.

    Raises:
        ImageError: the picture has other channels than those, and isn't grey or colour that could be turned into them.
    """
    levels = picture.levels
    if channels in (2, 4) and levels.shape[-1] in (1, 3):
        opaque = np.full(levels.shape[:2], full_scale(levels.dtype), levels.dtype)
        alpha = opaque if picture.alpha is None else picture.alpha
        levels = np.concatenate([levels, alpha[..., None]], axis=-1)
    _check_channels(levels.shape[-1], channels)
    return levels


def _check_channels(given: int, channels: int) -> None:
    if given != channels and not {given, channels} <= {1, 3} and not {given, channels} <= {2, 4}:
        raise ImageError(f"a picture of {given} channels where {channels} are needed")


def _with_channels(pixels: Tensor, channels: int) -> Tensor:
    """(C, H, W) with as many channels as a network takes: grey repeated, colour turned grey (BT.601), alpha kept."""
    if len(pixels) == channels:
        return pixels
    _check_channels(len(pixels), channels)
    if channels in (2, 4):
        return torch.cat([_with_channels(pixels[:-1], channels - 1), pixels[-1:]])
    if len(pixels) == 1:
        return pixels.expand(channels, -1, -1)
    return (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)


def to_tensor(levels: Levels, channels: int) -> Tensor:
    """Levels (H, W, C) to float (channels, H, W) in [-1, 1]; grey is repeated, colour is turned grey, where asked.

    Raises:
        ImageError: the picture has another number of channels and isn't grey or colour.
    """
    half = np.float32(full_scale(levels.dtype) / 2)
    values = np.ascontiguousarray((levels.astype(np.float32) / half - 1).transpose(2, 0, 1))
    return _with_channels(torch.from_numpy(values), channels)


def to_levels(image: Tensor, depth: np.dtype[Any] | type = np.uint8) -> Levels:
    """Float (C, H, W) in [-1, 1] to levels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    half = full_scale(np.dtype(depth)) / 2
    values = (image.detach().double().cpu().clamp(-1, 1) + 1) * half
    if np.issubdtype(depth, np.integer):
        values = values.round()
    return np.ascontiguousarray(values.numpy().transpose(1, 2, 0).astype(depth))
