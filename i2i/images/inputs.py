"""What a caller may pass as an image: its types, and the checks before it is read."""

from __future__ import annotations

import io
import math
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.errors import ImageError, UsageError
from i2i.images.arrays import looks_transposed
from i2i.images.decoded import DecodedImage

if TYPE_CHECKING:
    from torch import Tensor

ImageFile: TypeAlias = Image.Image | str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
ImageLike: TypeAlias = "ImageFile | NDArray[Any] | Tensor | DecodedImage"
ValueRange: TypeAlias = tuple[float, float]

_PACKAGE = str(Path(__file__).parents[1])


def path_or_bytes(image: object) -> Path | bytes:
    """A path, or the contents of a file that is open or in memory; an open file is read from its start, as Pillow does.

    Raises:
        ImageError: it isn't one of these, can't be read, or was opened as text.
    """
    if isinstance(image, str | os.PathLike):
        return Path(os.fsdecode(image))
    if isinstance(image, list | tuple):
        kind = type(image).__name__
        raise ImageError(f"{kind} is not an image; for several images use Translator.load(model).batch(images)")
    in_memory = isinstance(image, bytes | bytearray | memoryview)
    if not in_memory and not callable(getattr(image, "read", None)):
        kind = type(image).__name__
        raise ImageError(
            f"{kind} is not an image; give a PIL image, an array, a tensor, a path, bytes, or an open file"
        )
    file: Any = image
    try:
        if in_memory:
            return bytes(file)
        with suppress(AttributeError, io.UnsupportedOperation):
            file.seek(0)
        data = file.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"a file that can't be read: {error}") from None
    if not isinstance(data, bytes):
        raise ImageError("a file that was opened as text; open it in binary mode: open(path, 'rb')")
    return data


def plain_array(array: NDArray[Any], *, channels: int) -> NDArray[Any]:
    """The array without its subclass, checked to be an image (H, W) or (H, W, C).

    Args:
        array: what a caller gave.
        channels: what the network takes, by which (C, H, W) is recognised.

    Raises:
        ImageError: it has another shape, or is of a subclass that would lose its meaning.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise ImageError("a masked array, whose mask would be lost; fill it first: image.filled(0)")
    if type(array) not in (np.ndarray, np.memmap):
        raise ImageError(f"a numpy {type(array).__name__}; give a plain array: numpy.asarray(image)")
    if array.ndim == 4:
        raise ImageError(f"an array of shape {array.shape}; an image is (H, W) or (H, W, C), several go to .batch()")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape}; an image is (H, W) or (H, W, C)")
    if array.ndim == 3 and looks_transposed(array.shape[::-1], channels):
        raise ImageError(
            f"an array of shape {array.shape} looks like (C, H, W), and arrays are (H, W, C): image.transpose(1, 2, 0)"
        )
    return array.view(np.ndarray)


def check_range(low: float, high: float, *, value_range: ValueRange | None) -> None:
    """Check that values from `low` to `high` lie in their range.

    Warns where no range was given and no value is below 0: such an image may be of [0, 1].

    Raises:
        UsageError: `value_range` is not a range.
        ImageError: a value is NaN or infinite, or lies outside of the range.
    """
    try:
        black, white = map(float, value_range or (-1, 1))
    except (TypeError, ValueError):
        black, white = 0.0, 0.0
    if not (black < white and math.isfinite(white - black)):
        raise UsageError(f"value_range {value_range!r}: give the values of black and white, such as (0, 1)")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError("some of its values are NaN or infinite; fill them first")
    slack = (white - black) / 2000
    if not black - slack <= low <= high <= white + slack:
        raise ImageError(
            f"floats from {low:.4g} to {high:.4g}, outside of [{black:g}, {white:g}]; give value_range=(BLACK, WHITE), "
            "or uint8 pixels"
        )
    if value_range is None and low >= 0:
        message = (
            "a float image without values below 0 is read as [-1, 1]; where white is 1 and black 0 give "
            "value_range=(0, 1), else value_range=(-1, 1)"
        )
        warnings.warn(message, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """The `stacklevel` of the code that called i2i, seen from this function's caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
