"""What apps import: a trained map, ready for images."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.device import isolated, pick_device
from i2i.errors import UsageError, unknown
from i2i.images.adapters import ImageAdapter, adapt
from i2i.images.decoded import DecodedImage
from i2i.images.inputs import ImageFile, ImageLike, ValueRange
from i2i.images.padding import padded
from i2i.inference.memory import free_memory, memory_per_pixel, out_of_memory
from i2i.inference.tiling.tiled import translate_tiles
from i2i.model_file.model_file import Model, load_model
from i2i.networks import Generator
from i2i.plugins import load_plugins
from i2i.pretrained import model_file
from i2i.seeding import seeded

AsGiven = TypeVar("AsGiven", NDArray[Any], Tensor, DecodedImage)

_TILES = (1024, 512, 256, 128)  # tried in turn where an image is too large for the memory
_ALWAYS = 2**20  # pixels that any machine has memory for


def _warn(_: int, message: str) -> None:
    warnings.warn(message, stacklevel=2)


@dataclass(frozen=True)
class Callbacks:
    """Who is told what happens to a large image.

    Attributes:
        step: told which share of its tiles is done.
        say: told the place, among those given, of an image that is too large for the memory, and what became of it.
    """

    step: Callable[[float], None] | None = None
    say: Callable[[int, str], None] = _warn


class _Waiting(NamedTuple):
    """An image that is to be translated, the seed of its output, and its index among those given."""

    adapter: ImageAdapter
    seed: int
    position: int


class Translator:
    """A trained map from one domain to the other; several threads may use it at once.

    Attributes:
        domains: the names of what it takes and what it gives.
        swapped: whether the training data lay the other way round: what it gives first, what it takes second.
        image_size: height and width of the images it was trained on, in pixels; it translates any size.
        deepens: whether it was trained from 8 to 16 bit, so that it gives a file of 8 bit a result of 16 bit.
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
        translators = {d: network for d, network in model.generators.items() if isinstance(network, Generator)}
        if not translators:
            raise UsageError("this model draws images from a latent; use it: i2i sample MODEL OUT")
        reachable = {directions[direction]: direction for direction in translators}
        wanted = to or next(iter(reachable))
        if wanted not in reachable:
            raise unknown("domain to translate to", wanted, reachable)
        self.device = pick_device(device)
        self.direction = reachable[wanted]
        self.domains = model.domains if self.direction == "a2b" else model.domains[::-1]
        self.swapped = bool(model.config.get("data", {}).get("swap")) != (self.direction == "b2a")
        self.image_size = int(model.preprocess.get("image_size", 256))
        depths = tuple(model.preprocess.get("depths", (8, 8)))
        self.widens_to_16_bit = (depths if self.direction == "a2b" else depths[::-1]) == (8, 16)
        with isolated(self.device):
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

    @overload
    def __call__(
        self,
        image: ImageFile,
        *,
        seed: int | None = None,
        samples: None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
    ) -> Image.Image: ...
    @overload
    def __call__(
        self,
        image: ImageFile,
        *,
        seed: int | None = None,
        samples: int,
        tile: int | None = None,
        value_range: ValueRange | None = None,
    ) -> list[Image.Image]: ...
    @overload
    def __call__(
        self,
        image: AsGiven,
        *,
        seed: int | None = None,
        samples: None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
    ) -> AsGiven: ...
    @overload
    def __call__(
        self,
        image: AsGiven,
        *,
        seed: int | None = None,
        samples: int,
        tile: int | None = None,
        value_range: ValueRange | None = None,
    ) -> list[AsGiven]: ...
    def __call__(
        self,
        image: ImageLike,
        *,
        seed: int | None = None,
        samples: int | None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
    ) -> Any:
        """Translate an image of any height and width; the result has the type of the input.

        It depends on the arguments alone: not on PyTorch's random state, default dtype or device, autocast, or
        gradient mode, all of which stay as they are.

        Args:
            image: a PIL image, an array, a tensor, a path, an open file, or the bytes of an image file; see
                `i2i.images.adapters.adapt`.
            seed: which of the plausible outputs, of a model that has many (bicyclegan); the one of seed 0 unless given.
            samples: give a list of this many outputs, of seeds `seed`, `seed + 1` and so on.
            tile: translate in tiles of this height and width, in pixels, for which little memory is needed; the
                result is that of the whole image (see `i2i.inference.tiling.tiled`).
            value_range: black and white of a float array or tensor, and of its result, such as (0, 1); (-1, 1) unless
                given, with a warning where no value is below 0.

        Raises:
            ImageError: it isn't an image that can be read.
            UsageError: a seed or samples of a model that has one output for an input, no size of a tile, or no range.
        """
        if samples is None:
            one = None if seed is None else [seed]
            return next(self.batch([image], batch_size=1, seeds=one, tile=tile, value_range=value_range))
        if samples < 1:
            raise UsageError(f"samples {samples}: it is 1 or more")
        first = seed or 0
        seeds = range(first, first + samples)
        return list(self.batch([image] * samples, seeds=seeds, tile=tile, value_range=value_range))

    @overload
    def batch(
        self,
        images: Iterable[ImageFile],
        *,
        batch_size: int = 8,
        seeds: Iterable[int] | None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
        callbacks: Callbacks | None = None,
    ) -> Iterator[Image.Image]: ...
    @overload
    def batch(
        self,
        images: Iterable[AsGiven],
        *,
        batch_size: int = 8,
        seeds: Iterable[int] | None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
        callbacks: Callbacks | None = None,
    ) -> Iterator[AsGiven]: ...
    @overload
    def batch(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int = 8,
        seeds: Iterable[int] | None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
        callbacks: Callbacks | None = None,
    ) -> Iterator[Any]: ...
    def batch(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int = 8,
        seeds: Iterable[int] | None = None,
        tile: int | None = None,
        value_range: ValueRange | None = None,
        callbacks: Callbacks | None = None,
    ) -> Iterator[Any]:
        """Translate many images in their order; neighbours of one size go through the network together.

        An image's result is the same as alone, to rounding. `seeds` has one for each image; `value_range` is that
        of all floats; see `__call__`. An image that is too large for the device's memory is translated in tiles, with
        a warning or as `callbacks` says.

        Raises:
            ImageError: an image can't be read.
            UsageError: the batch size or `tile` is below 1, or seeds of a model that has one output for an input.
            ValueError: more or fewer seeds than images.
        """
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size}: it is 1 or more")
        if tile is not None and tile < 1:
            raise UsageError(f"tile {tile}: it is 1 or more pixels")
        if seeds is not None and not self.generator.latent:
            raise UsageError("this model gives one output for an input; leave out seed and samples")
        waiting: list[_Waiting] = []
        given = zip(images, itertools.repeat(0) if seeds is None else seeds, strict=seeds is not None)
        for index, (image, seed) in enumerate(given):
            with isolated():
                adapter = adapt(
                    image,
                    channels=self.generator.in_channels,
                    widen_to_16_bit=self.widens_to_16_bit,
                    value_range=value_range,
                )
            if waiting and (len(waiting) == batch_size or adapter.shape != waiting[0].adapter.shape):
                yield from self._translate(waiting, tile, callbacks or Callbacks())
                waiting = []
            waiting.append(_Waiting(adapter, seed, index))
        if waiting:
            yield from self._translate(waiting, tile, callbacks or Callbacks())

    def _translate(self, waiting: list[_Waiting], tile: int | None, callbacks: Callbacks) -> list[Any]:
        with isolated(self.device):
            if tile is not None:
                return [self._in_tiles(one, tile, callbacks) for one in waiting]
            if self._fits(waiting):
                try:
                    return self._whole(waiting)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
            if len(waiting) > 1:
                return [result for one in waiting for result in self._translate([one], None, callbacks)]
            return [self._in_smaller_tiles(waiting[0], callbacks)]

    def _whole(self, waiting: list[_Waiting]) -> list[Any]:
        _, height, width = waiting[0].adapter.shape
        rows, columns, frame = padded(height, width, **self._sizes)
        pixels = [one.adapter.read(rows, columns) for one in waiting]
        counts = [len(one) for one in pixels]
        given = [torch.cat(pixels).to(self.device)]
        if self.generator.latent:
            latents = [self._latent(one.seed).expand(count, -1) for one, count in zip(waiting, counts, strict=True)]
            given.append(torch.cat(latents).to(self.device))
        results = torch.split(frame.crop(self.generator(*given)).float(), counts)
        left = []
        for one, result in zip(waiting, results, strict=True):
            one.adapter.write(result, top=0, left=0)
            left.append(one.adapter.result())
        return left

    def _in_tiles(self, one: _Waiting, tile: int, callbacks: Callbacks) -> Any:
        adapter, seed, _ = one
        count, height, width = adapter.shape
        rows, columns, frame = padded(height, width, **self._sizes)

        def put(piece: Tensor, top: int, left: int) -> None:
            first, start = max(frame.top - top, 0), max(frame.left - left, 0)
            stop, end = max(frame.top + height - top, 0), max(frame.left + width - left, 0)
            own = piece[:, :, first:stop, start:end]
            if own.numel():
                adapter.write(own.float(), top=top + first - frame.top, left=left + start - frame.left)

        translate_tiles(
            self.generator,
            lambda down, across: adapter.read(rows[down], columns[across]).to(self.device),
            put,
            (len(rows), len(columns)),
            tile=tile,
            latent=self._latent(seed).expand(count, -1).to(self.device) if self.generator.latent else None,
            step=callbacks.step,
        )
        return adapter.result()

    def _in_smaller_tiles(self, one: _Waiting, callbacks: Callbacks) -> Any:
        _, height, width = one.adapter.shape
        for tile in _TILES:
            try:
                result = self._in_tiles(one, tile, callbacks)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or tile == _TILES[-1]:
                    raise
                continue  # out of here, as an error keeps alive what memory its tensors have
            said = f"{width} x {height} pixels are too many at once for the memory: translated in tiles of {tile}"
            callbacks.say(one.position, said)
            return result
        raise AssertionError("the last tile ends the loop")

    def _fits(self, waiting: list[_Waiting]) -> bool:
        """Whether the memory is likely to hold it, where a system would end the program instead of refusing more."""
        free = free_memory(self.device)
        pixels = sum(math.prod(one.adapter.shape) for one in waiting)
        return free is None or pixels < _ALWAYS or pixels * memory_per_pixel(self.generator) < free

    @property
    def _sizes(self) -> dict[str, int]:
        return {"multiple": self.generator.multiple, "smallest": self.generator.smallest}

    def _latent(self, seed: int) -> Tensor:
        return torch.randn(1, self.generator.latent, generator=seeded(seed), dtype=torch.float32)


@overload
def translate(
    image: ImageFile,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: None = None,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> Image.Image: ...
@overload
def translate(
    image: ImageFile,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: int,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> list[Image.Image]: ...
@overload
def translate(
    image: AsGiven,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: None = None,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> AsGiven: ...
@overload
def translate(
    image: AsGiven,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: int,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> list[AsGiven]: ...
def translate(
    image: ImageLike,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    samples: int | None = None,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> Any:
    """Translate an image with a model; the result has the type of the input.

    A model is loaded once and kept: `translate(photo, "map2sat")` in a loop is as fast as a Translator.

    Args:
        image: a PIL image, an array, a tensor, a path, an open file, or the bytes of an image file; see
            `i2i.images.adapters.adapt`.
        model: a pretrained model's name, a model file, a run's folder, or a Translator.
        to: the domain to translate to, by its name, where the model knows both ways.
        device: `auto`, `cpu`, `cuda`, ...; a Translator has its own.
        seed: which of the plausible outputs, of a model that has many; see `Translator.__call__`.
        samples: give a list of this many of them.
        tile: translate in tiles of this height and width, in pixels; see `Translator.__call__`.
        value_range: black and white of a float array or tensor, such as (0, 1); (-1, 1) unless given.

    Raises:
        UsageError: there is no such model, it doesn't translate to that domain, or it has one output for an input.
        ImageError: it isn't an image that can be read.
    """
    if not isinstance(model, Translator):
        file = model_file(model)
        model = _loaded(file, file.stat().st_mtime_ns, to, device)
    run: Callable[..., Any] = model  # of all overloads at once
    return run(image, seed=seed, samples=samples, tile=tile, value_range=value_range)


@functools.lru_cache(maxsize=4)
def _loaded(file: Path, changed: int, to: str | None, device: str) -> Translator:  # noqa: ARG001
    return Translator.load(file, to=to, device=device)
