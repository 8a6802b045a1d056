"""Flicker of videos: the warping error, along the optical flow of the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from i2i.images.decoded import PixelArray
from i2i.inference.video.motion import Motion, MotionEstimator, unit


class WarpingError:
    """Mean warping error of several versions of a video, such as the input and its translation.

    A version's error at frame t is the mean squared difference between frame t and frame t - 1 moved along the optical
    flow of the input, over the pixels that are not occluded, in [0, 1]. Means are over all pairs of frames without a
    cut between them.

    Source: Lai et al. 2018, "Learning blind video temporal consistency", temporal warping error.

    Differs from the paper: the flow is DIS (Kroeger et al. 2016), not FlowNet2; the error is a mean over the channels
    too; cuts are left out.
    """

    def __init__(self) -> None:
        self._before: tuple[PixelArray, ...] = ()
        self._errors: list[list[float]] = []

    def add(self, *versions: PixelArray, motion: Motion | None) -> None:
        """Add the next frame.

        Args:
            versions: the frame in each version, (H, W, C) of 8 or 16 bit; the same number each time.
            motion: of the input, from the frame before; None for the first frame of a scene.
        """
        before, self._before = self._before, versions
        if motion is not None and before and motion.visible.any():
            self._errors.append([_pair(a, b, motion) for a, b in zip(before, versions, strict=True)])

    @property
    def pairs(self) -> int:
        """Pairs of frames that were compared."""
        return len(self._errors)

    @property
    def means(self) -> tuple[float, ...]:
        """The error of each version; NaN if no frames were compared."""
        if not self._errors:
            return (float("nan"),) * len(self._before)
        return tuple(np.mean(self._errors, axis=0).tolist())


def warping_error(source: Sequence[PixelArray], frames: Sequence[PixelArray]) -> float:
    """The warping error of the frames of one scene; see `WarpingError`.

    Args:
        source: frames of the input, (H, W, 3).
        frames: as many frames of the same size, (H, W, C).
    """
    errors, estimator = WarpingError(), MotionEstimator()
    for index, (pixels, frame) in enumerate(zip(source, frames, strict=True)):
        errors.add(frame, motion=estimator.between(source[index - 1], pixels) if index else None)
    return errors.means[0]


def _pair(before: PixelArray, frame: PixelArray, motion: Motion) -> float:
    difference = motion.move(unit(before)) - unit(frame)
    return float(np.square(difference)[motion.visible].mean(dtype=np.float64))
