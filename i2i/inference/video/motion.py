"""The motion between frames of a video, by optical flow."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from i2i.images.decoded import PixelArray, full_scale

Floats = NDArray[np.float32]

_SMALLEST = 16  # pixels that the flow needs


class Motion(NamedTuple):
    """Where the pixels of a frame were in the frame before.

    Attributes:
        columns: of each pixel, (H, W).
        rows: of each pixel, (H, W).
        visible: whether the pixel is seen in both frames, (H, W).
    """

    columns: Floats
    rows: Floats
    visible: NDArray[np.bool_]

    def move(self, before: Floats, *, interpolation: int = cv2.INTER_LINEAR) -> Floats:
        """The frame before, (H, W, C), moved to where its content is in this one."""
        moved: Any = cv2.remap(before, self.columns, self.rows, interpolation, borderMode=cv2.BORDER_REPLICATE)
        result: Floats = moved.reshape(before.shape)  # OpenCV drops a single channel
        return result


class MotionEstimator:
    """Dense inverse search, the optical flow of Kroeger et al. 2016, in both directions."""

    def __init__(self) -> None:
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, before: PixelArray, frame: PixelArray) -> Motion:
        """The motion from one frame to the next, (H, W, 3) of 8 or 16 bit each.

        A pixel isn't visible in both where the flow there and the flow back don't cancel out, at a boundary of motion
        (both with the constants of Sundaram et al. 2010), and where it comes from outside the frame.
        """
        old, new = _grey(before), _grey(frame)
        rows, columns = (np.asarray(axis) for axis in np.indices(new.shape, dtype=np.float32))
        if min(new.shape) < _SMALLEST:
            return Motion(columns, rows, np.zeros(new.shape, bool))
        back, there = self._flow.calc(new, old, None), self._flow.calc(old, new, None)
        from_columns, from_rows = columns + back[..., 0], rows + back[..., 1]
        returned = cv2.remap(there, from_columns, from_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        consistent = _square(back + returned) <= 0.01 * (_square(back) + _square(returned)) + 0.5
        down, across = np.gradient(back, axis=(0, 1))
        even = _square(down) + _square(across) <= 0.01 * _square(back) + 0.002
        height, width = new.shape
        inside = (from_columns >= 0) & (from_columns <= width - 1) & (from_rows >= 0) & (from_rows <= height - 1)
        return Motion(from_columns, from_rows, consistent & even & inside)


def unit(pixels: PixelArray) -> Floats:
    """Pixels of 8 or 16 bit as floats in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))


def _grey(pixels: PixelArray) -> NDArray[np.uint8]:
    colours = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def _square(vectors: Floats) -> Floats:
    squares: Floats = np.square(vectors).sum(axis=-1)
    return squares
