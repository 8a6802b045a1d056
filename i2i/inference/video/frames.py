"""Translate the frames of a video in their order, blended or with moving statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from i2i.errors import UsageError, setting
from i2i.images.decoded import PixelArray, full_scale
from i2i.inference.options import Callbacks
from i2i.inference.translator import Translator
from i2i.inference.video.blending import Blender
from i2i.inference.video.cuts import CutDetector
from i2i.inference.video.motion import Motion, MotionEstimator
from i2i.inference.video.reading import VideoFrame


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


class FrameTranslator:
    """Translates the frames of one video in their order; for the settings see `translate_video`.

    Attributes:
        notes: what was done differently, in words.

    Raises:
        UsageError: the model can't smooth its norms.
    """

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
