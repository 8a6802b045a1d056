"""Scores of a model on held-out pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from i2i.data import Layout
from i2i.data.folders import Source
from i2i.data.loading import read_source
from i2i.errors import UsageError
from i2i.picture import Levels, Picture
from i2i.translator import Translator


def evaluate(translator: Translator, layout: Layout, *, batch_size: int = 8) -> dict[str, Any]:
    """Compare translations of the held-out inputs, at their own size, with their partners.

    Args:
        translator: the model.
        layout: pairs, a to b; where it holds none out, those it has are taken.
        batch_size: pictures that go through the network together.

    Returns:
        `n` pairs, the `split`, and means over them: `l1` (mean absolute difference, in levels of 255), `psnr` (dB),
        `ssim` (Wang et al. 2004, window 7).

    Raises:
        UsageError: a translation and its partner differ in size.
    """
    split = layout.validation or layout.train
    inputs = (Picture(read_source(source)) for source in split.a)
    translated = translator.batch(inputs, batch_size=batch_size)
    scores = []
    for picture, source in tqdm(zip(translated, split.b, strict=True), total=len(split.b), unit="img", disable=None):
        scores.append(_compare(picture.levels, read_source(source), source))
    l1, psnr, ssim = np.mean(scores, axis=0)
    name = "held out" if layout.validation else "training"
    return {"n": len(scores), "split": name, "l1": float(l1), "psnr": float(psnr), "ssim": float(ssim)}


def _compare(result: Levels, target: Levels, source: Source) -> tuple[float, float, float]:
    if result.shape[:2] != target.shape[:2]:
        raise UsageError(
            f"{source.path}: {target.shape[:2]} pixels, but its partner is {result.shape[:2]}; pairs need one size"
        )
    one, two = np.broadcast_arrays(_eight_bit(result), _eight_bit(target))
    return (
        float(np.abs(one - two).mean()),
        float(peak_signal_noise_ratio(two, one, data_range=255)),
        float(structural_similarity(two, one, data_range=255, channel_axis=-1)),
    )


def _eight_bit(levels: Levels) -> Levels:
    return levels.astype(np.float64) * (255 / np.iinfo(levels.dtype).max)
