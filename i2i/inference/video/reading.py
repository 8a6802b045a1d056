"""Read a video: its frames as pixels, and the packets of its other streams as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from i2i.errors import ImageError
from i2i.images.decoded import PixelArray
from i2i.inference.video.colours import to_rgb
from i2i.optional import extra_module

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

_COPIED = ("audio", "subtitle")
_UNFINISHED = 0.25  # seconds by which a file may end before the duration that it states


class VideoFrame(NamedTuple):
    """A decoded frame.

    Attributes:
        pixels: (H, W, 3) in RGB, 8 bit or, of a video with more, 16 bit.
        pts: when it is shown, in units of the stream's time base.
        duration: in these units; 0 if it isn't known.
        tags: the decoded frame, for its colour tags and rotation.
    """

    pixels: PixelArray
    pts: int
    duration: int
    tags: av.VideoFrame


def pyav() -> Any:
    """The library that reads and writes videos.

    Raises:
        UsageError: it isn't installed.
    """
    return extra_module("av", extra="video", needed_by="translating videos")


class VideoReader:
    """A video file that is open for reading, in a `with` block.

    Attributes:
        container: the open file.
        stream: the video stream.
        copied: the other streams that are copied: audio and subtitles.
        left_out: names of the kinds of other streams.

    Raises:
        ImageError: the file can't be read, or has no video stream.
        UsageError: PyAV isn't installed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._av = path, pyav()
        with self._errors():
            self.container: InputContainer = self._av.open(str(path))
        videos = [stream for stream in self.container.streams.video if not _is_cover(stream)]
        if not videos:
            self.container.close()
            raise ImageError(f"{path}: it has no video stream")
        self.stream = videos[0]
        self.stream.thread_type = "AUTO"
        self.copied: list[Stream] = [stream for stream in self.container.streams if stream.type in _COPIED]
        others = [s for s in self.container.streams if s is not self.stream and s not in self.copied]
        self.left_out = ["cover image" if _is_cover(stream) else stream.type for stream in others]
        if not self.stream.width or not self.stream.height:
            self.container.close()
            raise ImageError(f"{path}: its video stream can't be read")

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def time_base(self) -> Fraction:
        """Seconds of a unit of the timestamps."""
        return self.stream.time_base or Fraction(1, 1000)

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""
        return self.stream.average_rate or self.stream.guessed_rate or Fraction(25)

    @property
    def count(self) -> int | None:
        """Frames, as far as the file says or its duration tells."""
        duration = self.container.duration or 0
        return self.stream.frames or int(self.rate * duration / 10**6) or None

    def __iter__(self) -> Iterator[VideoFrame | av.Packet[Any]]:
        """Frames in the order in which they are shown, and between them packets of the streams that are copied.

        Raises:
            ImageError: the file is damaged or incomplete.
        """
        last, end = None, 0.0
        with self._errors():
            for packet in self.container.demux():
                if packet.is_corrupt:
                    raise ImageError(f"{self.path}: the file is damaged or incomplete")
                if packet.pts is not None and packet.time_base:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index != self.stream.index:
                    if packet.stream in self.copied and packet.size:
                        yield packet
                    continue
                frames: Any = packet.decode()
                for frame in frames:
                    pts = self._pts(frame, last)
                    last = pts, frame.duration or 0
                    yield VideoFrame(self._pixels(frame), pts, frame.duration or 0, frame)
        if last is None:
            raise ImageError(f"{self.path}: it has no frames that can be decoded")
        self._check_end(end)

    def _pixels(self, frame: av.VideoFrame) -> PixelArray:
        if frame.is_corrupt:
            raise ImageError(f"{self.path}: the file is damaged: a frame can't be decoded")
        if (frame.width, frame.height) != (self.stream.width, self.stream.height):
            raise ImageError(f"{self.path}: frames change their size, which isn't supported")
        return np.ascontiguousarray(to_rgb(frame))

    def _pts(self, frame: av.VideoFrame, last: tuple[int, int] | None) -> int:
        """When a frame is shown; where the file doesn't say, or goes back in time, after the frame before."""
        if last is None:
            return frame.pts or 0
        following = last[0] + (last[1] or max(1, round(1 / (self.rate * self.time_base))))
        if frame.pts is None:
            return following
        return frame.pts if frame.pts > last[0] else last[0] + 1

    def _check_end(self, end: float) -> None:
        stated = (self.container.duration or 0) / 1e6
        if end < stated - _UNFINISHED:
            raise ImageError(f"{self.path}: the file is incomplete: it ends after {end:.1f} of {stated:.1f} seconds")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of FFmpeg as `ImageError`."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise ImageError(f"{self.path}: {error.strerror}") from None
            raise ImageError(f"{self.path}: not a video that can be read: {error.strerror or error}") from None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & stream.disposition.attached_pic)
