"""Write a video like another: its timestamps, rotation, colours and metadata, and its other streams as they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import UsageError
from i2i.images.decoded import PixelArray
from i2i.inference.video.colours import color_range, from_rgb
from i2i.inference.video.names import WRITABLE, writable_in_words
from i2i.inference.video.reading import VideoFrame, VideoReader, pyav

_ODD = "an odd width or height is stored without chroma subsampling (4:4:4), which not every player shows"
_OWN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}  # of the container itself


def codec_of(path: Path) -> str:
    """The encoder of a file, by its suffix.

    Raises:
        UsageError: videos of this suffix can't be written.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise UsageError(f"{path}: can't write that format; a video ends in {writable_in_words()}")
    return "libvpx-vp9" if suffix == ".webm" else "libx264"


def crf_of(quality: int, codec: str) -> int:
    """The constant rate factor that looks about like a JPEG quality, 1 to 100: 95 is 18 for H.264, and 22 for VP9."""
    h264 = min(51.0, 18 + 0.35 * (95 - quality))
    return round(h264 if codec == "libx264" else h264 * 63 / 51)


class VideoWriter:
    """A video file that is being written, in a `with` block.

    Attributes:
        notes: what differs from the input, in words.

    Args:
        path: the file to write, such as a temporary one.
        reader: the input, whose streams and metadata are copied.
        target: the name that the file will have.
        quality: see `crf_of`.

    Raises:
        UsageError: the container can't be written, or can't hold a stream of the input.
    """

    def __init__(self, path: Path, reader: VideoReader, *, target: Path, quality: int) -> None:
        self._reader, self._codec, self._quality = reader, codec_of(target), quality
        self._target, self.notes = target, [f"{kind} stream left out" for kind in dict.fromkeys(reader.left_out)]
        is_mp4 = target.suffix.lower() in (".mp4", ".m4v", ".mov")
        self._container: Any = pyav().open(str(path), "w", options={"movflags": "+faststart"} if is_mp4 else {})
        self._container.metadata.update(_tags(reader.container.metadata))
        if chapters := reader.container.chapters():
            self._container.set_chapters(chapters)
        self._copies: dict[int, Any] = {}
        self._durations: dict[int, int] = {}  # by timestamp, because encoders drop them
        self._waiting: list[Any] = []  # packets of other streams before the first frame
        self._video: Any = None
        self._pix_fmt = ""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._finish()
        else:
            self._abandon()

    def write(self, pixels: PixelArray, frame: VideoFrame) -> None:
        """Write the translation (H, W, 3) of a frame, 8 or 16 bit, to be shown when that is."""
        if self._video is None:
            self._add_streams(frame)
        encoded = from_rgb(pixels, frame.tags, pix_fmt=self._pix_fmt)
        encoded.pts, encoded.time_base = frame.pts, self._reader.time_base
        self._durations[frame.pts] = frame.duration
        self._mux(self._video.encode(encoded))

    def copy(self, packet: Any) -> None:
        """Write a packet of another stream as it is."""
        if self._video is None:
            self._waiting.append(packet)
            return
        if packet.stream.index in self._copies and packet.dts is not None:
            packet.stream = self._copies[packet.stream.index]
            self._container.mux(packet)

    def _add_streams(self, first: VideoFrame) -> None:
        for stream in self._reader.container.streams:
            if stream is self._reader.stream:
                self._video = self._add_video(first)
            elif stream in self._reader.copied:
                self._add_copy(stream)
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self.copy(packet)

    def _add_video(self, first: VideoFrame) -> Any:
        reader, source = self._reader, self._reader.stream
        rate, base = reader.rate, reader.time_base
        stream: Any = self._container.add_stream(self._codec, rate=rate, width=source.width, height=source.height)
        context = stream.codec_context
        self._pix_fmt = self._pixel_format(stream.codec, first.tags.format)
        context.pix_fmt, context.time_base = self._pix_fmt, base
        stream.time_base = base
        context.sample_aspect_ratio = source.codec_context.sample_aspect_ratio or Fraction(0, 1)
        tags = first.tags
        context.colorspace, context.color_range = tags.colorspace, tags.color_range
        if tags.format.name.startswith("yuvj"):
            context.color_range = color_range(tags)
        context.color_primaries, context.color_trc = tags.color_primaries, tags.color_trc
        context.options = {"crf": str(crf_of(self._quality, self._codec))}
        context.max_b_frames = 0  # whose reordering would distort the durations of a variable frame rate
        if self._codec == "libvpx-vp9":
            context.options |= {"b": "0", "row-mt": "1", "cpu-used": "4", "deadline": "good"}
        matrix: Any = first.tags.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            stream.set_display_matrix(np.frombuffer(bytes(matrix), np.int32)[:9].tolist())
        stream.metadata.update(_tags(source.metadata))
        return stream

    def _pixel_format(self, codec: Any, source: Any) -> str:
        """The pixel format of the input, or the nearest that the encoder takes."""
        known = [form.name for form in codec.video_formats]
        name = source.name.replace("yuvj", "yuv").replace("yuva", "yuv")
        if name != source.name and "yuva" in source.name:
            self.notes.append("alpha channel left out")
        depth = max(component.bits for component in source.components)
        if name not in known or source.is_rgb:
            chroma = source.components[1] if len(source.components) > 1 and not source.is_rgb else None
            halved = chroma is not None and chroma.width < source.width
            name = ("yuv420p" if halved else "yuv444p") + ("10le" if depth > 8 else "")
        # H.264 with subsampled chroma can't hold odd sizes.
        is_odd = self._reader.stream.width % 2 or self._reader.stream.height % 2
        if is_odd and self._codec == "libx264" and not name.startswith(("yuv444", "gray")):
            self.notes.append(_ODD)
            name = "yuv444p10le" if depth > 8 else "yuv444p"
        return str(name)

    def _add_copy(self, stream: Any) -> None:
        try:
            copy = self._container.add_stream_from_template(stream, opaque=True)
        except ValueError:
            name = stream.codec_context.name if stream.codec_context else stream.type
            if stream.type == "audio":
                raise UsageError(
                    f"{self._target}: this container can't hold the audio of {self._reader.path} ({name}), which is "
                    "copied as it is; give an OUTPUT that ends in .mkv"
                ) from None
            self.notes.append(f"{stream.type} stream left out ({name}, which this container can't hold)")
            return
        copy.metadata.update(_tags(stream.metadata))
        copy.disposition = stream.disposition
        self._copies[stream.index] = copy

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0) or packet.duration
            self._container.mux(packet)

    def _finish(self) -> None:
        if self._video is not None:
            self._mux(self._video.encode(None))
        self._container.close()

    def _abandon(self) -> None:
        try:
            self._container.close()
        except Exception:
            return  # the file is removed, and the error before this one tells why


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in _OWN_TAGS}
