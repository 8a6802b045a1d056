"""Scores on held-out pairs during training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from i2i.data import ImageDataset
from i2i.evaluation.pixels import pixels_of
from i2i.evaluation.scores.paired import l1, psnr, ssim
from i2i.images.tensors import to_pixels
from i2i.seeding import seeded

_TRAINING = 8  # training pairs that are scored too: where the two diverge, it is overfitting


class Validation:
    """Scores a translator on the same held-out pairs each time, spread over all of them.

    Args:
        held_out: pairs that are not trained on.
        training: pairs that are.
        count: held-out pairs to score, at most.
    """

    def __init__(self, held_out: ImageDataset, training: ImageDataset, *, count: int) -> None:
        self.held_out = held_out.fixed(min(count, len(held_out)))
        self.training = training.fixed(min(_TRAINING, len(training)))

    @torch.no_grad()
    def __call__(self, translator: nn.Module, device: torch.device) -> tuple[dict[str, float], float]:
        """Score a translator in evaluation mode; a multimodal one with the latent of seed 0.

        Returns:
            For the held-out pairs `l1` (mean absolute difference, in levels of 255), `psnr` (dB, at most 100), `ssim`
            (Wang et al. 2004, window 7) and their number `n`; and the `l1` of training pairs.
        """
        scores = np.array(_scores(translator, self.held_out, device))
        means = dict(zip(("l1", "psnr", "ssim"), scores.mean(0).tolist(), strict=True))
        training = float(np.mean([score[0] for score in _scores(translator, self.training, device)]))
        return {**means, "n": len(scores)}, training


def _scores(translator: nn.Module, pairs: dict[str, Tensor], device: torch.device) -> list[tuple[float, ...]]:
    latent = getattr(translator, "latent", 0)
    latents = (torch.randn(1, latent, generator=seeded(0)).to(device),) if latent else ()
    found = []
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        translated = translator(a[None].to(device), *latents)[0].float()
        pair = [pixels_of(to_pixels(image)) for image in (translated, b)]
        found.append(tuple(score(*pair) for score in (l1, psnr, ssim)))
    return found
