"""Pixels to tensors and back: the only place where ranges and layouts change."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, full_scale

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


def lies_otherwise(shape: tuple[int, ...], channels: int) -> bool:
    """Whether a shape taken for (C, H, W) is channels-last: only its last axis is short, or `channels` long."""
    few = [count <= 4 or count == channels for count in shape]
    return few == [False, False, True]


def check_channels(given: int, channels: int) -> None:
    """Raise ImageError unless an image of `given` channels can be converted for a network of `channels`."""
    if given != channels and not {given, channels} <= {1, 3} and not {given, channels} <= {2, 4}:
        raise ImageError(f"an image of {given} channels where {channels} are needed")


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Convert (C, H, W) to `channels` channels: grey is repeated, RGB becomes grey (ITU-R BT.601), alpha is kept."""
    if len(pixels) == channels:
        return pixels
    check_channels(len(pixels), channels)
    if channels in (2, 4):
        return torch.cat([with_channels(pixels[:-1], channels - 1), pixels[-1:]])
    if len(pixels) == 1:
        return pixels.expand(channels, -1, -1)
    return (pixels * pixels.new_tensor(BT601)[:, None, None]).sum(0, keepdim=True)


def to_tensor(pixels: PixelArray, channels: int) -> Tensor:
    """Convert pixels (H, W, C) to float32 (channels, H, W) in [-1, 1]; see `with_channels`.

    Raises:
        ImageError: the image has another number of channels and isn't grey or RGB.
    """
    half = np.float32(full_scale(pixels.dtype) / 2)
    values = np.ascontiguousarray((pixels.astype(np.float32) / half - 1).transpose(2, 0, 1))
    return with_channels(torch.from_numpy(values), channels)


def to_pixels(image: Tensor, depth: np.dtype[Any] | type = np.uint8) -> PixelArray:
    """Convert float (C, H, W) in [-1, 1] to pixels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    half = full_scale(np.dtype(depth)) / 2
    values = (image.detach().double().cpu().clamp(-1, 1) + 1) * half
    if np.issubdtype(depth, np.integer):
        values = values.round()
    return np.ascontiguousarray(values.numpy().transpose(1, 2, 0).astype(depth))
