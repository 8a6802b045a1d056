"""Small videos with sound, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

av: Any = pytest.importorskip("av")  # there is none for Python 3.10
Pixels = NDArray[np.uint8]


def texture(height: int, width: int, *, seed: int = 0) -> Pixels:
    """Smooth colours at random, (height, width, 3)."""
    coarse = np.random.default_rng(seed).uniform(60, 200, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def pan(count: int, *, size: tuple[int, int] = (48, 64), step: int = 1, seed: int = 0) -> list[Pixels]:
    """Frames (H, W, 3) that move over a texture."""
    height, width = size
    ground = texture(height, width + step * count, seed=seed)
    return [np.ascontiguousarray(ground[:, step * index : step * index + width]) for index in range(count)]


def write_video(
    path: Path,
    frames: Sequence[Pixels],
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    audio: str | None = "aac",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames, with a tone unless `audio` is None."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options=options or {}) as file:
        video: Any = file.add_stream(codec, rate=25, width=width, height=height)
        video.pix_fmt, video.codec_context.time_base = pix_fmt, time_base
        video.options = {"crf": "12", "b": "0"}
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        sound: Any = file.add_stream(audio, rate=48000) if audio else None
        file.metadata["title"] = "Boxes"
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index if pts is None else pts[index], time_base
            if tags:
                frame = frame.reformat(
                    format=pix_fmt, dst_colorspace=tags["colorspace"], dst_color_range=tags["color_range"]
                )
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if sound:
            tone = 0.3 * np.sin(np.arange(48000 * len(frames) // 25) / 20).astype(np.float32)
            for start in range(0, len(tone) - 1024, 1024):
                samples = np.stack([tone[start : start + 1024]] * 2)
                heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                heard.sample_rate, heard.pts, heard.time_base = 48000, start, Fraction(1, 48000)
                file.mux(sound.encode(heard))
            file.mux(sound.encode(None))
    return path


def frames_of(path: Path) -> list[Pixels]:
    """The frames of a video, as FFmpeg converts them."""
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def times_of(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    with av.open(str(path)) as file:
        return [frame.pts * frame.time_base for frame in file.decode(video=0)]


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time and contents of the packets of the first stream of a kind, `audio` or `video`."""
    with av.open(str(path)) as file:
        stream = next(stream for stream in file.streams if stream.type == kind)
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in file.demux(stream) if packet.size]
