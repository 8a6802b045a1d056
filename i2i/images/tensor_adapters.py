"""The adapter of tensors, and the checks before one is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.errors import ImageError
from i2i.images.array_adapters import FloatAdapter, ImageAdapter, IntegerArrayAdapter
from i2i.images.arrays import Array, check_channels, concatenate, looks_transposed
from i2i.images.inputs import ValueRange, check_range
from i2i.images.padding import Indices

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class TensorAdapter(ImageAdapter):
    """For a tensor (C, H, W) or (N, C, H, W), of pixels or of floats; gives such a tensor."""

    def __init__(self, tensor: Tensor, *, channels: int, value_range: ValueRange | None) -> None:
        images = tensor if tensor.dim() == 4 else tensor[None]
        self.shape = (len(images), *images.shape[2:])
        self._tensor = tensor
        self._images: list[ImageAdapter]
        if tensor.is_floating_point():
            check_channels(images.shape[1], channels)
            check_range(float(tensor.min()), float(tensor.max()), value_range=value_range)
            self._images = [FloatAdapter(image, channels=channels, value_range=value_range) for image in images]
        else:
            arrays = [image.cpu().numpy().transpose(1, 2, 0) for image in images]
            self._images = [IntegerArrayAdapter(array, channels=channels) for array in arrays]

    def read(self, rows: Indices, columns: Indices) -> Array:
        return concatenate([image.read(rows, columns) for image in self._images])

    def write(self, tile: Array, *, top: int, left: int) -> None:
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


def plain_tensor(tensor: Tensor, *, channels: int) -> Tensor:
    """The tensor without its subclass and gradient, checked to be an image (C, H, W) or several (N, C, H, W).

    Args:
        tensor: what a caller gave.
        channels: what the network takes, by which (H, W, C) is recognised.

    Raises:
        ImageError: it has another shape or type, or holds no values, as on the meta device.
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
        raise ImageError(f"a tensor of {tensor.dtype}; give uint8 or uint16 pixels, or floats (16 bit or more)")
    plain = tensor.detach().as_subclass(Tensor).resolve_neg()
    shape = tuple(plain.shape)
    if plain.dim() not in (3, 4) or 0 in shape:
        raise ImageError(f"a tensor of shape {shape}; an image is (C, H, W), several are (N, C, H, W)")
    if looks_transposed(shape[-3:], channels):
        fix = "image.permute(2, 0, 1)" if plain.dim() == 3 else "images.permute(0, 3, 1, 2)"
        raise ImageError(f"a tensor of shape {shape} looks like (H, W, C), and tensors are (C, H, W): {fix}")
    return plain
