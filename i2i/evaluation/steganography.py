"""Whether a cycle survives because the input is hidden in the translation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.images.tensors import to_pixels, to_tensor
from i2i.images.writing import encode

KEPT = {"float": "in float", "8bit": "in 8 bit", "jpeg": "as JPEG 75"}
_QUALITY = 75
_LEAST = 1e-3


def cycle_errors(image: Tensor, fake: Tensor, back: Callable[[Tensor], Tensor]) -> Values:
    """The cycle's error where the translation was kept exactly, in 8 bit, and as JPEG, before it went back.

    Source: Chu et al. 2017 (arXiv 1712.02950): CycleGAN learns to hide what it needs to restore the input in faint high
    frequencies of the translation, which a little noise or a compression destroys. An honest cycle hardly minds.

    Args:
        image: the input, (C, H, W) in [-1, 1].
        fake: its translation, (C', H, W) in [-1, 1], as the network gave it.
        back: translates such an image back; it gives (C, H, W) in [-1, 1].

    Returns:
        Mean absolute differences in levels of 255, (4,): those of the cycle in the order of `KEPT`, and that which JPEG
        made in the translation. What JPEG has no place for (it has for 1 and 3 channels) isn't a number. It has quality
        75 and full colour resolution.
    """
    pixels = to_pixels(fake)
    kept = [fake, to_tensor(pixels, len(fake)).to(fake)]
    if len(fake) in (1, 3):
        compressed = read(encode(DecodedImage(pixels), ".jpg", quality=_QUALITY)).pixels
        kept.append(to_tensor(compressed, len(fake)).to(fake))
    errors = [_difference(back(one), image) for one in kept]
    return np.array([*errors, _difference(kept[2], fake)] if len(kept) == 3 else [*errors, np.nan, np.nan])


def cycle_scores(errors: Sequence[Values], bootstrap: Bootstrap) -> dict[str, Score]:
    """The scores by their short names, of the `cycle_errors` of each image."""
    columns = np.array(errors).T
    cycles = columns[: len(KEPT)]
    scores = {
        f"cycle_l1_{short}": score_of_means(f"cycle L1, translation kept {kept}", column, bootstrap)
        for (short, kept), column in zip(KEPT.items(), cycles, strict=True)
        if np.isfinite(column).any()
    }
    if len(scores) == len(KEPT):
        note = (
            "levels that the cycle L1 grows by for each level that JPEG changes in the translation; up to about 1: "
            "nothing is hidden, well above: the input is hidden in the translation"
        )
        scores["cycle_growth"] = score_of_means(
            "cycle L1, growth", columns.T, bootstrap, of_means=growth, meaning=note, better="lower"
        )
    return scores


def growth(means: Values) -> Values:
    """By how much the error grows for a change in the translation, of mean `cycle_errors` (..., 4) that JPEG made.

    A map back that passes each level on has 1, one that reads a faint message has many times as much.
    """
    ratio: Values = (means[..., 2] - means[..., 0]) / np.maximum(means[..., 3], _LEAST)
    return ratio


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean()) * 127.5
