"""Find cuts between the scenes of a video."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from i2i.images.decoded import PixelArray, full_scale

_SIDE = 64  # pixels of the longer side at which frames are compared
_BLOCKS = 8  # along each side
_CHANGED = 0.2  # error of a block that has changed, as a share of the frames' variance
_SHARE = 0.4  # of changed blocks, from which on a frame begins a scene; measured: docs/video.md


class CutDetector:
    """Tells of each frame of a video whether it begins a scene, by comparing it with the frame before at 64 pixels.

    The frame before is moved along the optical flow, so that a pan or a zoom is no cut, changes of brightness are left
    out, and blocks are compared one by one, so that an object that enters is no cut either.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def is_cut(self, pixels: PixelArray) -> bool:
        """Whether the next frame, (H, W, 3) of 8 or 16 bit, begins a scene; the first one does."""
        frame, before = _small(pixels), self._before
        self._before = frame
        return before is None or self._changed(before, frame) > _SHARE

    def _changed(self, before: NDArray[np.float32], frame: NDArray[np.float32]) -> float:
        """Share of the blocks that have changed, of frames (h, w, 3) in [0, 255]."""
        grey, grey_before = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.uint8) for x in (frame, before))
        flow = self._flow.calc(grey, grey_before, None)
        rows, columns = np.indices(grey.shape, dtype=np.float32)
        moved: Any = cv2.remap(
            before, flow[..., 0] + columns, flow[..., 1] + rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        error = np.minimum(_squared_difference(moved, frame), _squared_difference(before, frame))
        blocks = cv2.resize(error, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        variance = (before.var() + frame.var()) / 2 + 20  # of noise, in frames of one colour
        return float((blocks > _CHANGED * variance).mean())


def _small(pixels: PixelArray) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    scale = min(1, _SIDE / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))  # the flow needs 16 pixels
    small: NDArray[np.float32] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small * np.float32(255 / full_scale(pixels.dtype))


def _squared_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    difference = a - b
    difference -= np.median(difference, axis=(0, 1))  # the change of brightness
    square: NDArray[np.float32] = np.square(difference).mean(axis=-1)
    return square
