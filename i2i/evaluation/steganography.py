"""Does the cycle depend on information hidden in the translation? (Chu et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.images.arrays import to_pixels
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.images.tensors import to_tensor
from i2i.images.writing import encode

STORED_AS = {"float": "translation in float", "8bit": "translation in 8 bit", "jpeg": "translation as JPEG 75"}
_QUALITY = 75
_LEAST = 1e-3


def cycle_errors(image: Tensor, fake: Tensor, back: Callable[[Tensor], Tensor]) -> Values:
    """The cycle's error with the translation stored exactly, in 8 bit, and as JPEG before it is translated back.

    Source: Chu et al. 2017 (arXiv 1712.02950): CycleGAN learns to hide what it needs to restore the input in faint high
    frequencies of the translation, which slight noise or compression destroys. An honest cycle is hardly affected.

    Args:
        image: the input, (C, H, W) in [-1, 1].
        fake: its translation, (C', H, W) in [-1, 1], as the network returned it.
        back: translates such an image back, to (C, H, W) in [-1, 1].

    Returns:
        Mean absolute differences on the scale of 0 to 255, (4,): the cycle's errors in the order of `STORED_AS`, then
        the change that JPEG makes to the translation. The last two are NaN for images that JPEG can't hold: it has 1 or
        3 channels. Its quality is 75, without chroma subsampling.
    """
    pixels = to_pixels(fake)
    stored = [fake, to_tensor(pixels, len(fake)).to(fake)]
    if len(fake) in (1, 3):
        compressed = read(encode(DecodedImage(pixels), ".jpg", quality=_QUALITY)).pixels
        stored.append(to_tensor(compressed, len(fake)).to(fake))
    errors = [_difference(back(translation), image) for translation in stored]
    return np.array([*errors, _difference(stored[2], fake)] if len(stored) == 3 else [*errors, np.nan, np.nan])


def cycle_scores(errors: Sequence[Values], bootstrap: Bootstrap) -> dict[str, Score]:
    """The scores by name, from the `cycle_errors` of each image."""
    columns = np.array(errors).T
    cycles = columns[: len(STORED_AS)]
    scores = {
        f"cycle_l1_{name}": score_of_means(f"Cycle L1, {how}", column, bootstrap)
        for (name, how), column in zip(STORED_AS.items(), cycles, strict=True)
        if np.isfinite(column).any()
    }
    if len(scores) == len(STORED_AS):
        meaning = (
            "increase of the cycle L1 per unit of change that JPEG makes to the translation; up to about 1: nothing is "
            "hidden, well above: the input is hidden in the translation (steganography)"
        )
        scores["cycle_growth"] = score_of_means(
            "Cycle L1 growth", columns.T, bootstrap, of_means=growth, meaning=meaning, better="lower"
        )
    return scores


def growth(means: Values) -> Values:
    """Growth of the cycle's error per unit of change by JPEG, (...), from mean `cycle_errors`, (..., 4).

    A generator that passes changes on has 1; one that decodes a faint message has many times as much.
    """
    ratio: Values = (means[..., 2] - means[..., 0]) / np.maximum(means[..., 3], _LEAST)
    return ratio


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean()) * 127.5
