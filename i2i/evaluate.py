"""Scores of a model on held-out pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from i2i.data import Layout
from i2i.data.loading import read_source
from i2i.data.transforms import resized
from i2i.picture import Levels, Picture, all_channels, full_scale
from i2i.translator import Translator


def evaluate(translator: Translator, layout: Layout, *, batch_size: int = 8) -> dict[str, Any]:
    """Compare translations of the held-out inputs with their partners, both at the model's training size.

    Args:
        translator: the model.
        layout: pairs, a to b; where it holds none out, those it has are taken.
        batch_size: pictures that go through the network together.

    Returns:
        `n` pairs, the `split`, the `size` in pixels, and means over the pairs: `l1` (mean absolute difference, in
        levels of 255), `psnr` (dB, at most 100), `ssim` (Wang et al. 2004, window 7).
    """
    split, size = layout.validation or layout.train, translator.image_size
    taken, given = translator.generator.in_channels, translator.generator.out_channels
    inputs = (Picture(resized(read_source(source, channels=taken), size)) for source in split.a)
    translated = translator.batch(inputs, batch_size=batch_size)
    pairs = tqdm(zip(translated, split.b, strict=True), total=len(split.b), unit="img", disable=None)
    scores = [
        _compare(all_channels(picture), resized(read_source(source, channels=given), size)) for picture, source in pairs
    ]
    means = dict(zip(("l1", "psnr", "ssim"), np.mean(scores, axis=0).tolist(), strict=True))
    return {"n": len(scores), "split": "held out" if layout.validation else "training", "size": size, **means}


def _compare(result: Levels, target: Levels) -> tuple[float, float, float]:
    one, two = np.broadcast_arrays(_eight_bit(result), _eight_bit(target))
    return (
        float(np.abs(one - two).mean()),
        min(float(peak_signal_noise_ratio(two, one, data_range=255)), 100.0),
        float(structural_similarity(two, one, data_range=255, channel_axis=-1)),
    )


def _eight_bit(levels: Levels) -> Levels:
    return levels.astype(np.float64) * (255 / full_scale(levels.dtype))
