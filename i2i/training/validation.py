"""Scores on held-out pairs while a run goes on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from i2i.data import ImageDataset
from i2i.evaluation.pixels import pixels_of
from i2i.evaluation.scores.paired import l1, psnr, ssim
from i2i.images.tensors import to_pixels
from i2i.seeding import seeded

_TRAINING = 8  # pairs of the training that are scored beside those held out, to see both move apart


class Validation:
    """Scores of a translator on pairs chosen once, spread over the held-out ones.

    Args:
        held_out: pairs that the run doesn't learn from.
        training: pairs that it does.
        count: held-out pairs to score, at most.
    """

    def __init__(self, held_out: ImageDataset, training: ImageDataset, *, count: int) -> None:
        self.held_out = held_out.fixed(min(count, len(held_out)))
        self.training = training.fixed(min(_TRAINING, len(training)))

    @torch.no_grad()
    def __call__(self, translator: nn.Module, device: torch.device) -> tuple[dict[str, float], float]:
        """Score a translator in evaluation mode; of many plausible outputs the one of seed 0.

        Returns:
            Of the held-out pairs `l1` (mean absolute difference, in levels of 255), `psnr` (dB, at most 100), `ssim`
            (Wang et al. 2004, window 7) and their number `n`; and the `l1` of the training's pairs.
        """
        scores = np.array(_scores(translator, self.held_out, device))
        means = dict(zip(("l1", "psnr", "ssim"), scores.mean(0).tolist(), strict=True))
        training = float(np.mean([score[0] for score in _scores(translator, self.training, device)]))
        return {**means, "n": len(scores)}, training


def _scores(translator: nn.Module, pairs: dict[str, Tensor], device: torch.device) -> list[tuple[float, ...]]:
    latent = getattr(translator, "latent", 0)
    given = (torch.randn(1, latent, generator=seeded(0)).to(device),) if latent else ()
    found = []
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        translated = translator(a[None].to(device), *given)[0].float()
        both = [pixels_of(to_pixels(image)) for image in (translated, b)]
        found.append(tuple(score(*both) for score in (l1, psnr, ssim)))
    return found
