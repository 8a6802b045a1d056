"""Score a model on held-out images: pairs, or two sets."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from torch import Tensor

from i2i.data import Layout
from i2i.data.layout import Source, Split
from i2i.data.reading import read_source
from i2i.data.resizing import resized
from i2i.device import pick_device
from i2i.errors import UsageError, setting
from i2i.evaluation.artifacts import SMALLEST, artifact_scores, luminance_correlation, peaks
from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.evaluation.pixels import check_grey_or_colour, pixels_of
from i2i.evaluation.scores import Outputs, PairedScore, extra_paired_scores, paired_scores
from i2i.evaluation.set_distances import distance_scores
from i2i.evaluation.steganography import cycle_errors, cycle_scores
from i2i.images.decoded import DecodedImage, PixelArray, all_channels
from i2i.images.tensors import to_tensor
from i2i.inference.translator import Translator
from i2i.progress import Progress, logger

T = TypeVar("T")
_SplitName: TypeAlias = Literal["held out", "training", "all"]
_SPLITS: dict[str, _SplitName] = {"val": "held out", "test": "held out", "train": "training", "": "all"}


@dataclass(frozen=True)
class Settings:
    """What to score, and how.

    Attributes:
        features: a network of `feature_networks`, for the distances between sets; None for no distances.
        extra_scores: scores of `extra_paired_scores` to compute as well: ms_ssim, lpips.
        resamples: bootstrap resamples for the confidence intervals; 0 for no intervals.
        seed: random seed of the bootstrap.
        batch_size: images per batch.
    """

    features: str | None = None
    extra_scores: tuple[str, ...] = ()
    resamples: int = 1000
    seed: int = 0
    batch_size: int = 8


@dataclass(frozen=True)
class Evaluation:
    """Scores, and what they depend on.

    Attributes:
        pairs: whether translations were compared with their own targets, or else as sets.
        n: number of translations.
        n_real: number of real images that they were compared with.
        split: which images these are: `held out`, `training` if the folder has no val and test, or `all` if it isn't
            split.
        size: the height and width at which images are compared, in pixels.
        scores: by name.
        settings: of the evaluation.
        features: what the feature network is and does.
    """

    pairs: bool
    n: int
    n_real: int
    split: _SplitName
    size: int
    scores: Mapping[str, Score]
    settings: Settings
    features: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as plain values for JSON."""
        return {
            "data": "paired" if self.pairs else "unpaired",
            "n": self.n,
            "n_real": self.n_real,
            "split": self.split,
            "size": self.size,
            "resize": "to size x size px: bicubic, antialiased along an axis that shrinks",
            "interval": "95 %, bootstrap over images",
            "resamples": self.settings.resamples,
            "seed": self.settings.seed,
            "features": self.features,
            "scores": {name: score.to_dict() for name, score in self.scores.items()},
        }


def evaluate(
    translator: Translator,
    layout: Layout,
    settings: Settings | None = None,
    *,
    pairs: bool = True,
    back: Translator | None = None,
) -> Evaluation:
    """Compare translations of the held-out inputs with real images, all at the model's training size.

    Args:
        translator: the model.
        layout: the images, a to b; without held-out images, the training images are scored.
        settings: what to score.
        pairs: whether the images of a and b are pairs.
        back: the same model's translator in the other direction, for the scores of the cycle.

    Raises:
        UsageError: a score needs a library or weights that aren't there, more images, or other channels.
        ImageError: an image can't be read.
    """
    settings = settings or Settings()
    split, size = layout.validation or layout.train, translator.image_size
    in_channels, out_channels = translator.backend.in_channels, translator.backend.out_channels
    # What a score lacks is found before the work begins.
    _check(settings, split, out_channels, pairs=pairs)
    device = pick_device(translator.device)
    network = feature_networks[settings.features](device) if settings.features else None
    of_pairs = _paired_scores(settings, Outputs(size, out_channels, device)) if pairs else {}

    fakes, reals = (_ImageSet(network, settings.batch_size) for _ in range(2))
    values: dict[str, list[float]] = defaultdict(list)
    luminance: list[float] = []
    to_translate, inputs = itertools.tee(_read(split.a, in_channels, size))
    results = translator.batch(map(DecodedImage, to_translate), batch_size=settings.batch_size)
    targets: Iterator[PixelArray | None] = _read(split.b, out_channels, size) if pairs else itertools.repeat(None)
    translated = _progress(results, "translating", len(split.a))
    for result, image, target, source in zip(translated, inputs, targets, split.a, strict=False):
        fake = pixels_of(fakes.add(all_channels(result)))
        luminance.append(luminance_correlation(pixels_of(image), fake))
        if target is not None:
            pair = np.broadcast_arrays(fake, pixels_of(reals.add(target)))
            for name, score in of_pairs.items():
                values[name].append(score.compute(*pair))
            logger.info("%s: %s", source.file, ", ".join(f"{name} {values[name][-1]:.4g}" for name in of_pairs))
    for target in [] if pairs else _progress(_read(split.b, out_channels, size), "real images", len(split.b)):
        reals.add(target)

    bootstrap = Bootstrap(settings.resamples, settings.seed)
    scores = {
        name: score_of_means(score.label, values[name], bootstrap, better=score.better, about=score.about)
        for name, score in of_pairs.items()
    }
    if network:
        scores |= distance_scores(network, fakes.features(), reals.features(), bootstrap, paired=pairs)
    scores |= artifact_scores(luminance, fakes.peaks, reals.peaks, bootstrap)
    if back:
        errors = _cycle(translator, back, _read(split.a, in_channels, size), len(split.a), settings.batch_size)
        scores |= cycle_scores(errors, bootstrap)
    about = network.to_dict() if network else None
    return Evaluation(pairs, len(split.a), len(split.b), _SPLITS[split.name], size, scores, settings, about)


def _check(settings: Settings, split: Split, channels: int, *, pairs: bool) -> None:
    """Refuse settings that don't fit these images."""
    if settings.resamples < 0:
        raise UsageError(f"{setting('resamples', settings.resamples)}: it must be 0 or more")
    for name in settings.extra_scores if not pairs else ():
        raise UsageError(
            f"{setting(name)} compares pairs, and these images are unpaired; leave it out, or use {setting('features')}"
        )
    if settings.features:
        check_grey_or_colour(channels, requested_by="features")
        if min(len(split.a), len(split.b)) < 2:
            raise UsageError(f"{setting('features')} compares sets of 2 images or more; leave it out")


def _paired_scores(settings: Settings, outputs: Outputs) -> dict[str, PairedScore]:
    found = {name: paired_scores[name](outputs) for name in paired_scores}
    found |= {name: extra_paired_scores[name](outputs) for name in settings.extra_scores}
    return {name: score for name, score in found.items() if score}


class _ImageSet:
    """What is kept of a set of images: their spectral peaks and their features."""

    def __init__(self, network: FeatureNetwork | None, batch_size: int) -> None:
        self.peaks: list[Values] = []
        self._network, self._batch_size = network, batch_size
        self._batch: list[PixelArray] = []
        self._features: list[Values] = []

    def add(self, pixels: PixelArray) -> PixelArray:
        if min(pixels.shape[:2]) >= SMALLEST:
            self.peaks.append(peaks(pixels_of(pixels)))
        if self._network:
            self._batch.append(pixels)
            if len(self._batch) == self._batch_size:
                self._extract()
        return pixels

    def features(self) -> Values:
        self._extract()
        return np.concatenate(self._features)

    def _extract(self) -> None:
        if self._network and self._batch:
            self._features.append(self._network(self._batch))
            self._batch = []


def _cycle(
    there: Translator, back: Translator, images: Iterable[PixelArray], count: int, batch_size: int
) -> list[Values]:
    to_translate, inputs = itertools.tee(to_tensor(pixels, there.backend.in_channels) for pixels in images)

    def translate_back(fake: Tensor) -> Tensor:
        return back(fake, value_range=(-1, 1))

    fakes = there.batch(to_translate, batch_size=batch_size, value_range=(-1, 1))
    translated = _progress(fakes, "cycle", count)
    return [cycle_errors(image, fake, translate_back) for fake, image in zip(translated, inputs, strict=False)]


def _read(sources: Iterable[Source], channels: int, size: int) -> Iterator[PixelArray]:
    return (resized(read_source(source, channels=channels), size) for source in sources)


def _progress(items: Iterable[T], label: str, count: int) -> Iterable[T]:
    bar: Iterable[T] = Progress(items, label, count, unit="image")
    return bar
