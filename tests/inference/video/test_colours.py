from __future__ import annotations

import numpy as np
import pytest

from i2i.inference.video.colours import from_rgb, to_rgb
from support.videos import av

COLOURS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128], [200, 100, 50], [30, 80, 160]]
)
PATCHES = np.repeat(np.repeat(COLOURS.reshape(2, 4, 3).astype(np.uint8), 16, axis=0), 16, axis=1)
# ITU-R BT.709, BT.601 and BT.2020: weights of red and blue in the luminance.
MATRICES = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def tagged(matrix: int, levels: int) -> av.VideoFrame:
    frame = av.VideoFrame(64, 32, "yuv444p")
    frame.colorspace, frame.color_range = matrix, levels
    return frame


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range_in_closed_form(matrix: int, full: bool) -> None:
    red, blue = MATRICES[matrix]
    rgb = PATCHES / 255
    y = rgb @ [red, 1 - red - blue, blue]
    cb, cr = (rgb[..., 2] - y) / (2 * (1 - blue)), (rgb[..., 0] - y) / (2 * (1 - red))
    expected = [255 * y, 128 + 255 * cb, 128 + 255 * cr] if full else [16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr]
    frame = from_rgb(PATCHES, tagged(matrix, 1 + full), pix_fmt="yuv444p")
    planes = [np.frombuffer(bytes(plane), np.uint8).reshape(32, -1)[:, :64] for plane in frame.planes]
    np.testing.assert_allclose(np.stack(planes), np.stack(expected), atol=1)
    assert (frame.colorspace, frame.color_range) == (matrix, 1 + full)
    assert abs(to_rgb(frame).astype(int) - PATCHES).max() <= 1


def test_untagged_frames_take_the_matrix_of_their_size() -> None:
    for height, matrix in ((576, 6), (720, 1)):
        frame = av.VideoFrame(16, height, "yuv444p")
        for plane, level in zip(frame.planes, (81, 90, 240), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        alike = av.VideoFrame(16, height, "yuv444p")
        alike.colorspace, alike.color_range = matrix, 1
        for plane, level in zip(alike.planes, (81, 90, 240), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        assert (to_rgb(frame) == to_rgb(alike)).all()


def test_full_range_yuvj_is_not_stretched() -> None:
    frame = av.VideoFrame(16, 16, "yuvj420p")
    for plane, level in zip(frame.planes, (10, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    assert abs(to_rgb(frame).astype(int) - 10).max() <= 1
