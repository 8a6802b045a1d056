"""Scores of a model on held-out images, pairs or two sets."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from torch import Tensor

from i2i.data import Layout
from i2i.data.dataset import read_source
from i2i.data.folders import Source, Split
from i2i.data.transforms import resized
from i2i.errors import UsageError
from i2i.evaluation.artifacts import SMALLEST, artefact_scores, luminance_correlation, peaks
from i2i.evaluation.bootstrap import Bootstrap, Score, Values, score_of_means
from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.evaluation.fid import distance_scores
from i2i.evaluation.paired import pair_scores
from i2i.evaluation.pixels import only_colour, pixels_of
from i2i.evaluation.steganography import cycle_errors, cycle_scores
from i2i.images.decoded import DecodedImage, PixelArray, all_channels
from i2i.images.tensors import to_tensor
from i2i.inference.translator import Translator
from i2i.progress import Progress, logger

T = TypeVar("T")
_Which: TypeAlias = Literal["held out", "training", "all"]
_SPLITS: dict[str, _Which] = {"val": "held out", "test": "held out", "train": "training", "": "all"}


@dataclass(frozen=True)
class Settings:
    """What to score, and how.

    Attributes:
        features: the network of `i2i.evaluation.features` for distances between the sets; None for no such scores.
        ms_ssim: whether pairs get MS-SSIM.
        lpips: whether pairs get LPIPS.
        resamples: how often images are resampled for the intervals; 0 for none.
        seed: of the resampling.
        batch_size: images that go through a network together.
    """

    features: str | None = None
    ms_ssim: bool = False
    lpips: bool = False
    resamples: int = 1000
    seed: int = 0
    batch_size: int = 8


@dataclass(frozen=True)
class Evaluation:
    """Scores, and what they depend on.

    Attributes:
        pairs: whether translations were compared with their partners, or else with a set.
        n: translations.
        n_real: images that they were compared with.
        split: which images these are: `held out`, `training` of a folder without val and test, or `all` of a folder
            that isn't split.
        size: the height and width at which all are compared, in pixels.
        scores: by their short names.
        settings: what was asked for.
        features: what the network of the distances is and does.
    """

    pairs: bool
    n: int
    n_real: int
    split: _Which
    size: int
    scores: Mapping[str, Score]
    settings: Settings
    features: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
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
        layout: the images, a to b; where it holds none out, those it has are taken.
        settings: what to score.
        pairs: whether the images of a and b are pairs.
        back: the model's map the other way, for the test of what the cycle hides.

    Raises:
        UsageError: a score needs a library or weights that aren't there, more images, or other channels.
        ImageError: an image can't be read.
    """
    asked = settings or Settings()
    split, size = layout.validation or layout.train, translator.image_size
    taken, given = translator.backend.in_channels, translator.backend.out_channels
    # What a score lacks is found before the work begins.
    _check(asked, split, given, pairs=pairs)
    network = feature_networks[asked.features](translator.device) if asked.features else None
    of_pairs = pair_scores(size, translator.device, with_ms_ssim=asked.ms_ssim, with_lpips=asked.lpips) if pairs else {}

    fakes, reals = (_Gathered(network, asked.batch_size) for _ in range(2))
    values: dict[str, list[float]] = defaultdict(list)
    inputs, shown = itertools.tee(_read(split.a, taken, size))
    results = translator.batch(map(DecodedImage, inputs), batch_size=asked.batch_size)
    targets: Iterator[PixelArray | None] = _read(split.b, given, size) if pairs else itertools.repeat(None)
    translated = _bar(results, "translating", len(split.a))
    for result, image, target, source in zip(translated, shown, targets, split.a, strict=False):
        fake = pixels_of(fakes.add(all_channels(result)))
        values["luminance"].append(luminance_correlation(pixels_of(image), fake))
        if target is not None:
            both = np.broadcast_arrays(fake, pixels_of(reals.add(target)))
            for name, score in of_pairs.items():
                values[name].append(score.of(*both))
            logger.info("%s: %s", source.path, ", ".join(f"{name} {values[name][-1]:.4g}" for name in of_pairs))
    for target in [] if pairs else _bar(_read(split.b, given, size), "real images", len(split.b)):
        reals.add(target)

    bootstrap = Bootstrap(asked.resamples, asked.seed)
    scores = {
        name: score_of_means(score.label, values[name], bootstrap, better=score.better, about=score.about)
        for name, score in of_pairs.items()
    }
    if network:
        scores |= distance_scores(network, fakes.features(), reals.features(), bootstrap, paired=pairs)
    scores |= artefact_scores(values["luminance"], fakes.peaks, reals.peaks, bootstrap)
    if back:
        errors = _cycle(translator, back, _read(split.a, taken, size), len(split.a), asked.batch_size)
        scores |= cycle_scores(errors, bootstrap)
    about = network.to_dict() if network else None
    which = _SPLITS[split.name]
    return Evaluation(pairs, len(split.a), len(split.b), which, size, scores, asked, about)


def _check(asked: Settings, split: Split, channels: int, *, pairs: bool) -> None:
    """Refuse what these images can't be asked for."""
    if asked.resamples < 0:
        raise UsageError(f"--resamples {asked.resamples}: it is 0 or more")
    for flag, given in (("--ms-ssim", asked.ms_ssim), ("--lpips", asked.lpips)):
        if given and not pairs:
            raise UsageError(f"{flag} compares pairs, and these images are none; leave it out, or give --features")
    for flag, wanted in (("--lpips", asked.lpips), ("--features", asked.features)):
        if wanted:
            only_colour(channels, flag)
    if asked.features and min(len(split.a), len(split.b)) < 2:
        raise UsageError("--features compares sets of images, of 2 and more; leave it out")


class _Gathered:
    """What is kept of a set of images: how their spectra stand out, and what a network sees in them."""

    def __init__(self, network: FeatureNetwork | None, batch_size: int) -> None:
        self.peaks: list[Values] = []
        self._network, self._batch_size = network, batch_size
        self._waiting: list[PixelArray] = []
        self._seen: list[Values] = []

    def add(self, pixels: PixelArray) -> PixelArray:
        if min(pixels.shape[:2]) >= SMALLEST:
            self.peaks.append(peaks(pixels_of(pixels)))
        if self._network:
            self._waiting.append(pixels)
            if len(self._waiting) == self._batch_size:
                self._see()
        return pixels

    def features(self) -> Values:
        self._see()
        return np.concatenate(self._seen)

    def _see(self) -> None:
        if self._network and self._waiting:
            self._seen.append(self._network(self._waiting))
            self._waiting = []


def _cycle(
    there: Translator, back: Translator, images: Iterable[PixelArray], count: int, batch_size: int
) -> list[Values]:
    inputs, shown = itertools.tee(to_tensor(pixels, there.backend.in_channels) for pixels in images)

    def inside(image: Tensor) -> Tensor:
        return back(image, value_range=(-1, 1))

    fakes = _bar(there.batch(inputs, batch_size=batch_size, value_range=(-1, 1)), "there and back", count)
    return [cycle_errors(decoded, fake, inside) for fake, decoded in zip(fakes, shown, strict=False)]


def _read(sources: Iterable[Source], channels: int, size: int) -> Iterator[PixelArray]:
    return (resized(read_source(source, channels=channels), size) for source in sources)


def _bar(of: Iterable[T], doing: str, count: int) -> Iterable[T]:
    bar: Iterable[T] = Progress(of, doing, count, unit="image")
    return bar
