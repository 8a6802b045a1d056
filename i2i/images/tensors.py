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
    """The levels (H, W, C) that a network of so many channels takes: with alpha as the last of 2 or of 4.

    Where an image has no alpha it is opaque.

    Raises:
        ImageError: the image has other channels than those, and isn't grey or colour that could be turned into them.
    """
    pixels = image.pixels
    if channels in (2, 4) and pixels.shape[-1] in (1, 3):
        opaque = np.full(pixels.shape[:2], full_scale(pixels.dtype), pixels.dtype)
        alpha = opaque if image.alpha is None else image.alpha
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    check_channels(pixels.shape[-1], channels)
    return pixels


def lies_otherwise(shape: tuple[int, ...], channels: int) -> bool:
    """Whether of (C, H, W), or (C, W, H), the last are the channels: few, or as many as a network takes."""
    few = [count <= 4 or count == channels for count in shape]
    return few == [False, False, True]


def check_channels(given: int, channels: int) -> None:
    """Raise ImageError unless an image of so many channels can be given to a network of `channels`."""
    if given != channels and not {given, channels} <= {1, 3} and not {given, channels} <= {2, 4}:
        raise ImageError(f"an image of {given} channels where {channels} are needed")


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """(C, H, W) with as many channels as a network takes: grey repeated, colour turned grey (BT.601), alpha kept."""
    if len(pixels) == channels:
        return pixels
    check_channels(len(pixels), channels)
    if channels in (2, 4):
        return torch.cat([with_channels(pixels[:-1], channels - 1), pixels[-1:]])
    if len(pixels) == 1:
        return pixels.expand(channels, -1, -1)
    return (pixels * pixels.new_tensor(BT601)[:, None, None]).sum(0, keepdim=True)


def to_tensor(pixels: PixelArray, channels: int) -> Tensor:
    """Levels (H, W, C) to float (channels, H, W) in [-1, 1]; grey is repeated, colour is turned grey, where asked.

    Raises:
        ImageError: the image has another number of channels and isn't grey or colour.
    """
    half = np.float32(full_scale(pixels.dtype) / 2)
    values = np.ascontiguousarray((pixels.astype(np.float32) / half - 1).transpose(2, 0, 1))
    return with_channels(torch.from_numpy(values), channels)


def to_pixels(image: Tensor, depth: np.dtype[Any] | type = np.uint8) -> PixelArray:
    """Float (C, H, W) in [-1, 1] to levels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    half = full_scale(np.dtype(depth)) / 2
    values = (image.detach().double().cpu().clamp(-1, 1) + 1) * half
    if np.issubdtype(depth, np.integer):
        values = values.round()
    return np.ascontiguousarray(values.numpy().transpose(1, 2, 0).astype(depth))
