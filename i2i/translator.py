"""What apps import: a trained map, ready for pictures."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.checkpoint import Model, load_model
from i2i.device import pick_device, seeded
from i2i.errors import UsageError, unknown
from i2i.image import Entered, ImageLike, enter, pad
from i2i.networks import Generator
from i2i.pretrained import model_file
from i2i.registry import load_plugins


class Translator:
    """A trained map from one domain to the other; several threads may use it at once.

    Attributes:
        domains: the names of what it takes and what it gives.
        swapped: whether the training data lay the other way round: what it gives first, what it takes second.
        image_size: height and width of the pictures it was trained on, in pixels; it translates any size.
        generator: the network.

    Args:
        model: a loaded model file; see `Translator.load`.
        to: the domain to translate to, by its name; what training called the second one unless given.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        UsageError: the model doesn't translate to that domain, or there is no such device.
    """

    def __init__(self, model: Model, *, to: str | None = None, device: str = "auto") -> None:
        directions = {"a2b": model.domains[1], "b2a": model.domains[0]}
        translators = {d: network for d, network in model.maps.items() if isinstance(network, Generator)}
        if not translators:
            raise UsageError("this model draws pictures from a latent; use it: i2i sample MODEL OUT")
        reachable = {directions[direction]: direction for direction in translators}
        wanted = to or next(iter(reachable))
        if wanted not in reachable:
            raise unknown("domain to translate to", wanted, reachable)
        self.device = pick_device(device)
        self.direction = reachable[wanted]
        self.domains = model.domains if self.direction == "a2b" else model.domains[::-1]
        self.swapped = bool(model.config.get("data", {}).get("swap")) != (self.direction == "b2a")
        self.image_size = int(model.preprocess.get("image_size", 256))
        self.generator: Generator = translators[self.direction].to(self.device).eval()

    @classmethod
    def load(cls, model: str | Path, *, to: str | None = None, device: str = "auto") -> Translator:
        """Load a model: a pretrained one's name, a model file, or a run's folder.

        Backbones of installed plug-ins (entry points of group `i2i`) are found; those of other modules must have been
        imported before.

        Raises:
            UsageError: there is no such model, it can't be read, or it doesn't translate to that domain.
        """
        load_plugins()
        return cls(load_model(model_file(model)), to=to, device=device)

    def __call__(self, image: ImageLike, *, seed: int | None = None, samples: int | None = None) -> Any:
        """Translate a picture of any height and width; the result has the type of the input.

        Args:
            image: a PIL image, an array, a tensor, a path, or the bytes of an image file; see `i2i.image.enter`.
            seed: which of the plausible outputs, of a model that has many (bicyclegan); the one of seed 0 unless given.
            samples: give a list of this many outputs, of seeds `seed`, `seed + 1` and so on.

        Raises:
            ImageError: it isn't a picture that can be read.
            UsageError: a seed or samples of a model that has one output for an input.
        """
        if samples is None:
            return next(self.batch([image], batch_size=1, seeds=None if seed is None else [seed]))
        if samples < 1:
            raise UsageError(f"samples {samples}: it is 1 or more")
        first = seed or 0
        return list(self.batch([image] * samples, seeds=range(first, first + samples)))

    def batch(
        self, images: Iterable[ImageLike], *, batch_size: int = 8, seeds: Iterable[int] | None = None
    ) -> Iterator[Any]:
        """Translate many pictures in their order; neighbours of one size go through the network together.

        A picture's result is the same as alone, to rounding. `seeds` has one for each picture; see `__call__`.

        Raises:
            ImageError: a picture can't be read.
            UsageError: the batch size is below 1, or seeds of a model that has one output for an input.
            ValueError: more or fewer seeds than pictures.
        """
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size}: it is 1 or more")
        if seeds is not None and not self.generator.latent:
            raise UsageError("this model gives one output for an input; leave out seed and samples")
        waiting: list[tuple[Entered, int]] = []
        for image, seed in zip(images, itertools.repeat(0) if seeds is None else seeds, strict=seeds is not None):
            entered = enter(image, self.generator.in_channels)
            if waiting and (len(waiting) == batch_size or entered.pixels.shape != waiting[0][0].pixels.shape):
                yield from self._translate(waiting)
                waiting = []
            waiting.append((entered, seed))
        yield from self._translate(waiting)

    @torch.no_grad()
    def _translate(self, waiting: list[tuple[Entered, int]]) -> list[Any]:
        if not waiting:
            return []
        entered = [one for one, _ in waiting]
        counts = [len(one.pixels) for one in entered]
        pixels = torch.cat([one.pixels for one in entered]).to(self.device)
        padded, frame = pad(pixels, multiple=self.generator.multiple, smallest=self.generator.smallest)
        latents = [self._latent(seed).expand(count, -1) for (_, seed), count in zip(waiting, counts, strict=True)]
        given = (padded, torch.cat(latents).to(self.device)) if self.generator.latent else (padded,)
        results = torch.split(frame.crop(self.generator(*given)).float(), counts)
        return [one.leave(result) for one, result in zip(entered, results, strict=True)]

    def _latent(self, seed: int) -> Tensor:
        return torch.randn(1, self.generator.latent, generator=seeded(seed))


def translate(
    image: ImageLike,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: int | None = None,
) -> Any:
    """Translate a picture with a model; the result has the type of the input.

    A model is loaded once and kept: `translate(photo, "map2sat")` in a loop is as fast as a Translator.

    Args:
        image: a PIL image, an array, a tensor, a path, or the bytes of an image file; see `i2i.image.enter`.
        model: a pretrained model's name, a model file, a run's folder, or a Translator.
        to: the domain to translate to, by its name, where the model knows both ways.
        device: `auto`, `cpu`, `cuda`, ...; a Translator has its own.
        seed: which of the plausible outputs, of a model that has many; see `Translator.__call__`.
        samples: give a list of this many of them.

    Raises:
        UsageError: there is no such model, it doesn't translate to that domain, or it has one output for an input.
        ImageError: it isn't a picture that can be read.
    """
    if isinstance(model, Translator):
        return model(image, seed=seed, samples=samples)
    file = model_file(model)
    return _loaded(file, file.stat().st_mtime_ns, to, device)(image, seed=seed, samples=samples)


@functools.lru_cache(maxsize=4)
def _loaded(file: Path, changed: int, to: str | None, device: str) -> Translator:  # noqa: ARG001
    return Translator.load(file, to=to, device=device)
