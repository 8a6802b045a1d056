"""Colours of video frames: from YUV to RGB and back, by the matrix and the range that the video names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from i2i.images.decoded import PixelArray

if TYPE_CHECKING:
    import av

_UNSPECIFIED, _RGB, _BT709, _SMPTE170M = 2, 0, 1, 6  # matrices, as ITU-T H.273 numbers them
_LIMITED, _FULL = 1, 2  # ranges, as FFmpeg numbers them
_HD = 576  # rows above which a video that names no matrix is taken to be BT.709, as players do


def to_rgb(frame: av.VideoFrame) -> PixelArray:
    """The pixels of a frame, (H, W, 3), 8 bit or, if it has more, 16 bit."""
    deep = any(component.bits > 8 for component in frame.format.components)
    tags = {} if frame.format.is_rgb else {"src_colorspace": matrix(frame), "src_color_range": color_range(frame)}
    rgb: Any = frame.reformat(
        format="rgb48le" if deep else "rgb24", dst_color_range=_FULL, interpolation=_interpolation(), **tags
    )
    pixels: PixelArray = rgb.to_ndarray()
    return pixels


def from_rgb(pixels: PixelArray, like: av.VideoFrame, *, pix_fmt: str) -> av.VideoFrame:
    """A frame of pixels (H, W, 3), of a pixel format, with the matrix, range and other colour tags of another frame."""
    from av import VideoFrame

    rgb = VideoFrame.from_ndarray(pixels, format="rgb48le" if pixels.itemsize == 2 else "rgb24")
    rgb.color_range, rgb.colorspace = _FULL, _RGB
    frame = rgb.reformat(
        format=pix_fmt, dst_colorspace=matrix(like), dst_color_range=color_range(like), interpolation=_interpolation()
    )
    frame.colorspace, frame.color_range = like.colorspace, color_range(like)
    frame.color_primaries, frame.color_trc = like.color_primaries, like.color_trc
    return frame


def matrix(frame: av.VideoFrame) -> int:
    """The matrix between YUV and RGB; where the video names none, that of its size."""
    if frame.colorspace not in (_UNSPECIFIED, _RGB):
        return int(frame.colorspace)
    return _BT709 if frame.height > _HD else _SMPTE170M


def color_range(frame: av.VideoFrame) -> int:
    """Whether levels span the full range (2) or the limited one (1)."""
    if frame.color_range in (_LIMITED, _FULL):
        return int(frame.color_range)
    return _FULL if frame.format.name.startswith("yuvj") or frame.format.is_rgb else _LIMITED


def _interpolation() -> Any:
    from av.video.reformatter import Interpolation

    return Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
