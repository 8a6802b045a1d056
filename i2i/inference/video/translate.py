"""Translate a video, frame by frame and without flicker."""

from __future__ import annotations

import copy
import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from i2i.errors import ImageError, UsageError, setting
from i2i.files import remove_abandoned, write_whole
from i2i.images.decoded import PixelArray, full_scale
from i2i.images.limits import MAX_MEGAPIXELS
from i2i.images.outputs import refuse_inputs
from i2i.images.writing import JPEG_QUALITY
from i2i.inference.folder import sigterm_as_interrupt
from i2i.inference.options import Callbacks
from i2i.inference.translator import Translator
from i2i.inference.video.blending import Blender
from i2i.inference.video.cuts import CutDetector
from i2i.inference.video.motion import Motion, MotionEstimator
from i2i.inference.video.names import WRITABLE
from i2i.inference.video.reading import VideoFrame, VideoReader, pyav
from i2i.inference.video.writing import VideoWriter, codec_of
from i2i.progress import Progress

SMOOTH = 0.5


class TranslatedFrame(NamedTuple):
    """A frame before and after.

    Attributes:
        source: pixels of the input, (H, W, 3).
        plain: its translation, before it is blended with the frame before, (H, W, 3).
        result: what is written, (H, W, 3).
        motion: of the input, from the frame before; None for the first frame of a scene, and where nothing is blended.
        cut: whether it begins a scene.
    """

    source: PixelArray
    plain: PixelArray
    result: PixelArray
    motion: Motion | None
    cut: bool


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
    frames = _Frames(translator, smooth=smooth, norm_smooth=norm_smooth, tile=tile, seed=seed)
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


class _Frames:
    """Translates the frames of a video in their order."""

    def __init__(
        self, translator: Translator, *, smooth: float, norm_smooth: float, tile: int | None, seed: int | None
    ) -> None:
        self._translator, self._inverts = copy.copy(translator), translator.invert_dark
        self._translator.invert_dark = False  # decided by scene, not by frame
        self._tile, self._seed = tile, seed
        self._cuts, self._moving = CutDetector(), None
        if norm_smooth:
            self._translator.backend = backend = _smoothed(translator, norm_smooth)
            self._moving = backend.moving
        self._blender = Blender(smooth) if smooth else None
        self._motion, self._before, self._dark = MotionEstimator(), np.empty(0), False
        self.notes: list[str] = []

    def translate(self, frames: list[VideoFrame]) -> Iterator[TranslatedFrame]:
        """Translate the next frames, which go through the network together."""
        sources = [frame.pixels for frame in frames]
        cuts = [self._cuts.is_cut(pixels) for pixels in sources]
        if self._moving is not None:
            self._moving.expect(cuts)
        seeds = None if self._seed is None else [self._seed] * len(frames)
        given = [self._inverted(pixels, cut) for pixels, cut in zip(sources, cuts, strict=True)]
        callbacks = Callbacks(on_fallback=self._note_fallback)
        results = self._translator.batch(
            given, batch_size=max(1, len(given)), seeds=seeds, tile=self._tile, callbacks=callbacks
        )
        for source, result, cut in zip(sources, results, cuts, strict=True):
            plain, motion = _as_rgb(result), None
            if self._blender is not None:
                motion = None if cut else self._motion.between(self._before, source)
                self._before = source
                blended = self._blender.blend(source, plain, motion=motion)
            yield TranslatedFrame(source, plain, blended if self._blender else plain, motion, cut)

    def _inverted(self, pixels: PixelArray, cut: bool) -> PixelArray:
        if cut:
            self._dark = self._inverts and bool(np.median(pixels) < full_scale(pixels.dtype) / 2)
        return ~pixels if self._dark else pixels

    def _note_fallback(self, _: int, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)


def _smoothed(translator: Translator, strength: float) -> Any:
    """A backend with moving statistics.

    Raises:
        UsageError: the model is run by another library, or takes no statistics from images.
    """
    advice = f"leave out {setting('norm_smooth')}"
    if not hasattr(translator.backend, "generator"):
        raise UsageError(
            f"{setting('norm_smooth', strength)}: an exported model holds its norms; use the model file with "
            f"{setting('backend', 'torch')}, or {advice}"
        )
    from i2i.inference.video.smoothing import SmoothedBackend, can_smooth

    if not can_smooth(translator.backend.generator):
        reason = "this model has no norms that take their statistics from each image"
        raise UsageError(f"{setting('norm_smooth', strength)}: {reason}; {advice}")
    return SmoothedBackend(translator.backend, strength=strength)  # type: ignore[arg-type]


def _as_rgb(pixels: PixelArray) -> PixelArray:
    """The translation (H, W, C) of a frame in three channels: grey is repeated, and alpha dropped."""
    if pixels.shape[-1] in (1, 2):
        return np.repeat(pixels[..., :1], 3, axis=-1)
    return np.ascontiguousarray(pixels[..., :3])


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
