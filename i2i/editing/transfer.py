"""Carry an edit from small generated images over to the original photograph, which keeps its details."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.float32]  # (H, W, C) in [-1, 1]

_SIDE = 256  # height and width at which motion is estimated, in pixels
_WINDOW = 17  # height and width of the neighbourhood that has one change of colour
_REGULARISER = 0.01  # pulls the change of contrast towards none
_MOST_CONTRAST = 3.0
_BLUR = 0.7  # of the mask, in pixels of the generated image


def transfer_edit(photo: Pixels, frames: Sequence[Pixels]) -> Pixels:
    """Apply to a photograph what happens from the first frame to the last.

    Source: Zhu et al. 2016, sec. 4.3: motion and a linear change of colour, estimated between neighbouring frames and
    put together. Motion is that of DIS optical flow (Kroeger et al. 2016).

    Differs from the paper: motion and colour are estimated one after the other, and a change of colour is a gain and an
    offset for each channel, there a 3 x 4 matrix.

    Args:
        photo: (H, W, C) in [-1, 1].
        frames: images of a morph, (S, S, C) in [-1, 1]; the first is the projection of the photograph.

    Returns:
        (H, W, C) in [-1, 1]; the photograph itself if the frames don't change.
    """
    height, width = photo.shape[:2]
    large = [_resized(frame, _SIDE, _SIDE, interpolation=cv2.INTER_CUBIC) for frame in frames]
    motion = _motion(large)
    gain, offset = _colour_change(_moved(large[0], motion), large[-1])
    motion, gain, offset = (_resized(part, width, height) for part in (motion, gain, offset))
    result = gain * _moved(photo, motion * np.array([width / _SIDE, height / _SIDE], np.float32)) + offset
    return _clipped(result)


def blend_edit(photo: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """Show an edited image where it differs from the image before, and the photograph elsewhere.

    Source: Brock et al. 2016, sec. 2: Y = R + M D + (1 - M) E with reconstruction R, change D = G - R, error E = x - R
    and mask M, the blurred mean of |D| over the channels; that is x + M (G - x).

    Args:
        photo: x, (H, W, C) in [-1, 1].
        before: R, (S, S, C).
        after: G, (S, S, C).

    Returns:
        (H, W, C) in [-1, 1]; the photograph itself if nothing has changed.
    """
    height, width = photo.shape[:2]
    mask = cv2.GaussianBlur(np.minimum(np.abs(after - before).mean(2), 1), (0, 0), _BLUR)
    shown = _resized(after, width, height, interpolation=cv2.INTER_CUBIC)
    return _clipped(photo + _resized(mask, width, height) * (shown - photo))


def _motion(frames: Sequence[Pixels]) -> NDArray[np.float32]:
    """How far the content of each pixel of the last frame has come from where it was in the first: (S, S, 2)."""
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [_structure(frame) for frame in frames]
    motion: Any = np.zeros((*grey[0].shape, 2), np.float32)
    for before, after in itertools.pairwise(grey):
        if np.array_equal(before, after):
            continue
        step = flow.calc(after, before, None)
        motion = step + _moved(motion, step)
    result: NDArray[np.float32] = motion
    return result


def _structure(frame: Pixels) -> NDArray[np.uint8]:
    """Luminance beside that around it, in levels, so that a change of light isn't taken for motion."""
    grey = frame.mean(2)
    relief = grey - cv2.GaussianBlur(grey, (0, 0), _SIDE / 16)
    levels: NDArray[np.uint8] = np.rint((relief.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    return levels


def _colour_change(before: Pixels, after: Pixels) -> tuple[Pixels, Pixels]:
    """The gain and the offset of each channel around each pixel."""

    def mean(values: Pixels) -> Pixels:
        return _channels(cv2.boxFilter(values, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT))

    mean_before, mean_after = mean(before), mean(after)
    variance = np.maximum(mean(before * before) - mean_before**2, 0)
    covariance = mean(before * after) - mean_before * mean_after
    gain = np.clip((covariance + _REGULARISER) / (variance + _REGULARISER), 0, _MOST_CONTRAST)
    return gain, mean_after - gain * mean_before


def _moved(image: NDArray[np.float32], motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """The image with each pixel taken from where its content was."""
    if not motion.any():
        return image
    rows, columns = np.indices(motion.shape[:2], np.float32)
    x, y = columns + motion[..., 0], rows + motion[..., 1]
    return _channels(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def _clipped(image: NDArray[Any]) -> Pixels:
    return np.asarray(image.clip(-1, 1), np.float32)


def _resized(image: NDArray[Any], width: int, height: int, *, interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    return _channels(cv2.resize(image, (width, height), interpolation=interpolation))


def _channels(image: NDArray[Any]) -> NDArray[np.float32]:
    """OpenCV drops the last dimension of images with one channel."""
    return image if image.ndim == 3 else image[..., None]
