"""Translate a video, frame by frame and without flicker."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from i2i.errors import ImageError, UsageError, setting
from i2i.files import remove_abandoned, write_whole
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.outputs import refuse_inputs
from i2i.images.writing import JPEG_QUALITY
from i2i.inference.signals import sigterm_as_interrupt
from i2i.inference.translator import Translator
from i2i.inference.video.frames import FrameTranslator, TranslatedFrame
from i2i.inference.video.names import WRITABLE
from i2i.inference.video.reading import VideoFrame, VideoReader, pyav
from i2i.inference.video.writing import VideoWriter, codec_of
from i2i.progress import Progress

SMOOTH = 0.5


@dataclass
class VideoResult:
    """What became of a video.

    Attributes:
        frames: how many there are.
        scenes: how many there are.
        seconds: that it took.
        notes: what differs from the input besides the pixels, in words.
    """

    frames: int = 0
    scenes: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def translate_video(
    source: str | Path,
    target: str | Path,
    translator: Translator,
    *,
    smooth: float = SMOOTH,
    norm_smooth: float = 0.0,
    tile: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    quality: int = JPEG_QUALITY,
    max_megapixels: float = MAX_MEGAPIXELS,
    overwrite: bool = False,
    progress: bool = True,
    on_frame: Callable[[TranslatedFrame], object] | None = None,
) -> VideoResult:
    """Translate a video into a file, which is written whole or not at all.

    Timestamps (also of a variable frame rate), size, rotation, colour tags and metadata are those of the input; audio
    and subtitles are copied as they are. The codec is H.264, or VP9 for .webm.

    Args:
        source: the video.
        target: the file to write: .mp4, .m4v, .mov, .mkv or .webm.
        translator: the model.
        smooth: how much of the frame before is blended into each, along the motion of the input, from 0 (frames are
            translated one by one) to below 1. The first frame of a scene is never blended.
        norm_smooth: strength of a moving average of the statistics of instance norm, and of batch norm that takes its
            statistics from each image, over the frames of a scene, from 0 to below 1; needs PyTorch.
        tile: translate in tiles of this size; see `Translator.__call__`.
        batch_size: frames that go through the network together; by default 8, or 1 on a CPU.
        seed: of the latent, if the model takes one; the same for all frames.
        quality: of the video, from 1 to 100, about as of JPEG.
        max_megapixels: refuse larger frames.
        overwrite: replace a target that exists.
        progress: show a progress bar.
        on_frame: called with each frame when it is written.

    Raises:
        ImageError: the video is damaged or incomplete, or has no video stream.
        UsageError: PyAV isn't installed, a setting is out of its range, the target exists or can't be of this kind, or
            the model can't do it.
    """
    source, target = Path(source), Path(target)
    _check(translator, smooth=smooth, norm_smooth=norm_smooth, seed=seed, tile=tile, batch_size=batch_size)
    if not 1 <= quality <= 100:
        raise UsageError(f"{setting('quality', quality)}: it must be from 1 to 100")
    codec_of(target)
    refuse_inputs([target], [source])
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists already; give {setting('overwrite')}, or another name")
    batch_size = batch_size or (1 if translator.device == "cpu" else 8)
    frames = FrameTranslator(translator, smooth=smooth, norm_smooth=norm_smooth, tile=tile, seed=seed)
    result, start = VideoResult(), time.perf_counter()
    remove_abandoned(target.parent, suffixes=WRITABLE)

    def write(path: Path) -> None:
        with VideoWriter(path, reader, target=target, quality=quality) as writer:
            for group in _groups(reader, batch_size):
                for packet in group.packets:
                    writer.copy(packet)
                for frame, translated in zip(group.frames, frames.translate(group.frames), strict=True):
                    writer.write(translated.result, frame)
                    result.frames, result.scenes = result.frames + 1, result.scenes + translated.cut
                    bar.update()
                    if on_frame is not None:
                        on_frame(translated)
        result.notes = [*writer.notes, *frames.notes]

    with (
        sigterm_as_interrupt(),
        VideoReader(source) as reader,
        Progress(total=reader.count, unit="frame", disable=not progress) as bar,
    ):
        _check_size(reader, max_megapixels)
        write_whole(target, lambda path: _as_os_errors(write, path))
    result.seconds = time.perf_counter() - start
    return result


def _as_os_errors(write: Callable[[Path], None], path: Path) -> None:
    """Write, with FFmpeg's errors as OSError; those of the input have become ImageError."""
    try:
        write(path)
    except pyav().error.FFmpegError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None


class _Group(NamedTuple):
    frames: list[VideoFrame]
    packets: list[Any]  # that lie between these frames


def _groups(reader: VideoReader, batch_size: int) -> Iterator[_Group]:
    group = _Group([], [])
    for item in reader:
        if isinstance(item, VideoFrame):
            group.frames.append(item)
        else:
            group.packets.append(item)
        if len(group.frames) == batch_size:
            yield group
            group = _Group([], [])
    yield group


def _check(
    translator: Translator,
    *,
    smooth: float,
    norm_smooth: float,
    seed: int | None,
    tile: int | None,
    batch_size: int | None,
) -> None:
    for name, value in (("smooth", smooth), ("norm_smooth", norm_smooth)):
        if not 0 <= value < 1:
            raise UsageError(f"{setting(name, value)}: it must be from 0 (off) to below 1, such as 0.5")
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch size {batch_size}: it must be 1 or more")
    if tile is not None and tile < 1:
        raise UsageError(f"tile {tile}: it must be 1 or more pixels")
    backend = translator.backend
    if seed is not None and not backend.latent:
        raise UsageError(f"this model gives one output for an input; leave out {setting('seed')}")
    if backend.in_channels not in (1, 3) or backend.out_channels > 4:
        channels = f"{backend.in_channels} to {backend.out_channels} channels"
        raise UsageError(f"this model translates {channels}, and the frames of a video have 3")


def _check_size(reader: VideoReader, max_megapixels: float) -> None:
    width, height = reader.stream.width, reader.stream.height
    if width * height > max_megapixels * 1e6:
        given = setting("max_megapixels", f"{-(-width * height // 10**6)}")
        raise ImageError(f"{reader.path}: frames of {width} x {height} pixels; allow them by {given}")
