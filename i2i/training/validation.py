"""Scores on held-out images during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.data import ImageDataset
from i2i.evaluation.bootstrap import Bootstrap, Values
from i2i.evaluation.features import FeatureNetwork
from i2i.evaluation.pixels import pixels_of
from i2i.evaluation.scores import set_distances
from i2i.evaluation.scores.paired import l1, psnr, ssim
from i2i.evaluation.set_distances import estimate
from i2i.images.arrays import to_pixels
from i2i.images.decoded import PixelArray
from i2i.networks import LatentEncoder, LatentGenerator
from i2i.seeding import seeded

_TRAINING = 8  # training pairs that are scored too: where the two diverge, it is overfitting
_RESAMPLES = 200  # for the interval of a kernel distance
_BATCH = 8  # images per batch of the feature network


class Validated(NamedTuple):
    """What a validation found.

    Attributes:
        scores: on the held-out images, by name, and their number `n`.
        training_l1: the `l1` of training pairs; None where the images aren't pairs.
    """

    scores: dict[str, float]
    training_l1: float | None


class Validation:
    """Scores the generators of a run on the same held-out images each time, spread over all of them.

    Pairs are scored by `l1` (mean absolute difference, in levels of 255), `psnr` (dB, at most 100) and `ssim` (Wang et
    al. 2004, window 7). With a feature network, the translations of each direction are compared with the real images of
    its target domain by the kernel distance (Binkowski et al. 2018), named after the network, with `/low` and `/high`,
    its 95 % interval; where there are two directions, `/a2b` and `/b2a` stand before these, and the name alone is their
    mean.

    Args:
        held_out: images that are not trained on.
        training: images that are.
        count: held-out images of each domain to score, at most.
        network: for the kernel distance; None for pairs to be scored without it.

    Attributes:
        count: held-out images of each domain that are scored.
        best_by: the score by which the best model is chosen; lower is better.
    """

    def __init__(
        self, held_out: ImageDataset, training: ImageDataset, *, count: int, network: FeatureNetwork | None = None
    ) -> None:
        split = held_out.split
        self.count = min(count, *(len(sources) for sources in (split.a, split.b) if sources))
        self.held_out = held_out.fixed(self.count)
        self.training = training.fixed(min(_TRAINING, len(training))) if held_out.paired else None
        self.network = network
        self.best_by = f"kernel_distance_{network.name.replace('-', '_')}" if network else "l1"
        self._real: dict[str, Values] = {}

    @torch.no_grad()
    def __call__(self, generators: Mapping[str, nn.Module], device: torch.device) -> Validated:
        """Score generators in evaluation mode, by direction; one that takes a latent with that of seed 0."""
        fakes = {
            direction: _generated(generator, self.held_out, domain=direction[0], device=device)
            for direction, generator in generators.items()
            if not isinstance(generator, LatentEncoder)
        }
        scores: dict[str, float] = {}
        training_l1 = None
        if self.training is not None:
            scores |= _paired_scores(fakes["a2b"], self.held_out["b"])
            of_training = _generated(generators["a2b"], self.training, domain="a", device=device)
            training_l1 = _paired_scores(of_training, self.training["b"])["l1"]
        if self.network is not None:
            scores |= self._kernel_distances(self.network, fakes)
        return Validated({**scores, "n": self.count}, training_l1)

    def _kernel_distances(self, network: FeatureNetwork, fakes: Mapping[str, list[PixelArray]]) -> dict[str, float]:
        scores, values = {}, []
        for direction, images in fakes.items():
            fake, real = _features(network, images), self._real_features(network, direction[-1])
            distance = set_distances["kernel_distance"](fake, real)
            bootstrap, paired = Bootstrap(_RESAMPLES), self.training is not None
            ((value, interval),) = estimate([distance], len(fake), len(real), bootstrap, paired=paired)
            name = f"{self.best_by}/{direction}" if len(fakes) > 1 else self.best_by
            scores[name] = value
            if interval is not None:
                scores[f"{name}/low"], scores[f"{name}/high"] = interval
            values.append(value)
        return {self.best_by: float(np.mean(values)), **scores}

    def _real_features(self, network: FeatureNetwork, domain: str) -> Values:
        if domain not in self._real:
            self._real[domain] = _features(network, [to_pixels(image) for image in self.held_out[domain]])
        return self._real[domain]


def _generated(
    generator: nn.Module, batch: Mapping[str, Tensor], *, domain: str, device: torch.device
) -> list[PixelArray]:
    """The translations of a domain's images, one at a time; or as many images from latents, with the batch's labels."""
    inputs: list[tuple[Tensor, ...]]
    if isinstance(generator, LatentGenerator):
        latents = generator.draw(len(batch["b"]), generator=seeded(0))
        labels = F.one_hot(batch["label"], generator.classes) if generator.classes else latents[:, :0]
        inputs = [(code,) for code in torch.cat([latents, labels.to(latents)], dim=1)]
    else:
        length = getattr(generator, "latent", 0)
        latent = (torch.randn(length, generator=seeded(0)),) if length else ()
        inputs = [(image, *latent) for image in batch[domain]]
    return [to_pixels(generator(*(x[None].to(device) for x in given))[0].float()) for given in inputs]


def _paired_scores(fakes: list[PixelArray], targets: Tensor) -> dict[str, float]:
    """The means of the scores of translations against their targets, (N, C, H, W) in [-1, 1]."""
    pairs = [(pixels_of(fake), pixels_of(to_pixels(b))) for fake, b in zip(fakes, targets, strict=True)]
    return {name: float(np.mean([score(*pair) for pair in pairs])) for name, score in _PAIRED.items()}


_PAIRED = {"l1": l1, "psnr": psnr, "ssim": ssim}


def _features(network: FeatureNetwork, images: list[PixelArray]) -> Values:
    return np.concatenate([network(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)])
