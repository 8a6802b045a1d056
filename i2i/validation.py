"""Scores on held-out pairs while a run goes on."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import nn

from i2i.data import Pictures
from i2i.device import seeded

_TRAINING = 8  # pairs of the training that are scored beside those held out, to see both move apart


class Validation:
    """Scores of a translator on pairs chosen once, spread over the held-out ones.

    Args:
        held_out: pairs that the run doesn't learn from.
        training: pairs that it does.
        count: held-out pairs to score, at most.
    """

    def __init__(self, held_out: Pictures, training: Pictures, *, count: int) -> None:
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


def _scores(
    translator: nn.Module, pairs: dict[str, torch.Tensor], device: torch.device
) -> list[tuple[float, float, float]]:
    found = []
    latent = getattr(translator, "latent", 0)
    given = (torch.randn(1, latent, generator=seeded(0)).to(device),) if latent else ()
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        translated = translator(a[None].to(device), *given)[0].float().cpu().clamp(-1, 1)
        # As a file would hold them, in levels of 255.
        one, two = (((x + 1) * 127.5).round().double().permute(1, 2, 0).numpy() for x in (translated, b))
        error = float(np.square(one - two).mean())
        psnr = 100.0 if error == 0 else min(100.0, 10 * float(np.log10(255**2 / error)))
        ssim = float(structural_similarity(two, one, data_range=255, channel_axis=-1))
        found.append((float(np.abs(one - two).mean()), psnr, ssim))
    return found
