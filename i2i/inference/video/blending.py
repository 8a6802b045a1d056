"""Blend each translated frame with the one before, along the motion of the input, against flicker."""

from __future__ import annotations

import cv2
import numpy as np

from i2i.images.decoded import PixelArray, full_scale
from i2i.inference.video.motion import Floats, Motion, unit

_TOLERANCE = 0.02  # squared difference of the inputs, in [0, 1], at which the share falls to 1 / e


class Blender:
    """A recursive filter along the motion: y(t) = (1 - w) * x(t) + w * y(t - 1) moved.

    w is the strength where a pixel of the input is seen in both frames, less where its colour has changed, and 0 where
    it is not. The first frame of a scene is left as it is.

    Args:
        strength: from 0, no blending, to below 1.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._source: PixelArray | None = None
        self._result: Floats | None = None

    def blend(self, source: PixelArray, result: PixelArray, *, motion: Motion | None) -> PixelArray:
        """Blend the next frame.

        Args:
            source: the frame of the input, (H, W, 3).
            result: its translation, (H, W, 3).
            motion: from the frame before; None for the first frame of a scene.
        """
        blended = unit(result)
        if motion is not None and self._source is not None and self._result is not None:
            change = np.square(motion.move(unit(self._source)) - unit(source)).mean(axis=-1, keepdims=True)
            share = self._strength * motion.visible[..., None] * np.exp(-change / _TOLERANCE)
            moved = motion.move(self._result, interpolation=cv2.INTER_CUBIC)  # sharper than linear
            blended = blended + share.astype(np.float32) * (moved - blended)
        self._source, self._result = source, blended
        scale = full_scale(result.dtype)
        rounded: PixelArray = np.clip(np.rint(blended * scale), 0, scale).astype(result.dtype)
        return rounded
