"""Arrays (H, W) or (H, W, C) as NumPy's .npy files: decoding and encoding."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED, DecodedImage, all_channels, check_file_type, file_pixels
from i2i.images.limits import check_size
from i2i.images.pillow import without_warnings

_ARRAY_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def decode_npy(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode an array of uint8, uint16, or floats in [0, 1]; see `i2i.images.formats.Decode`."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in _ARRAY_HEADERS:
        raise ImageError("an array of a kind that holds no image")
    shape, in_columns, dtype = _array_header(file, version)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ImageError(f"an array of shape {shape}; an image is (H, W) or (H, W, C)")
    check_size(shape[1], shape[0], max_pixels, pixel_bytes=dtype.itemsize * (shape[2] if len(shape) == 3 else 1))
    check_file_type(dtype)
    if len(data) - file.tell() < math.prod(shape) * dtype.itemsize:
        raise ImageError(TRUNCATED)
    array = np.frombuffer(data, dtype, math.prod(shape), file.tell()).reshape(shape, order="F" if in_columns else "C")
    return DecodedImage(np.array(file_pixels(array if array.ndim == 3 else array[..., None]), order="C"))


def encode_npy(image: DecodedImage, *, quality: int) -> bytes:  # noqa: ARG001
    """Encode pixels of any depth and number of channels, alpha as the last; see `i2i.images.formats.Encode`."""
    buffer = io.BytesIO()
    np.save(buffer, all_channels(image))
    return buffer.getvalue()


def _array_header(file: io.BytesIO, version: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        with without_warnings():
            return _ARRAY_HEADERS[version](file)  # type: ignore[no-any-return]
    except Exception:  # parsing a damaged header raises all kinds of errors
        raise ImageError("damaged: its header says no shape and type of an array") from None
