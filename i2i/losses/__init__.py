"""Losses: plain functions, and one adversarial loss for all methods."""

from i2i.losses.adversarial import AdversarialLoss, Kind
from i2i.losses.contrastive import patch_nce
from i2i.losses.divergence import standard_normal_divergence
from i2i.losses.matching import feature_matching, mean_feature_matching
from i2i.losses.penalties import HistoricalAverage, gradient_penalty, orthogonal_penalty, r1_penalty
from i2i.losses.perceptual import Perceptual, PerceptualNetwork
from i2i.losses.reconstruction import l1

__all__ = [
    "AdversarialLoss",
    "HistoricalAverage",
    "Kind",
    "Perceptual",
    "PerceptualNetwork",
    "feature_matching",
    "gradient_penalty",
    "l1",
    "mean_feature_matching",
    "orthogonal_penalty",
    "patch_nce",
    "r1_penalty",
    "standard_normal_divergence",
]
