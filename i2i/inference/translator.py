"""What apps import: a trained generator for one direction, ready to translate images."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from numpy.typing import NDArray
from PIL import Image

from i2i.device import isolated, pick_device
from i2i.errors import UsageError, setting
from i2i.images.adapters import InvertedAdapter, adapt
from i2i.images.decoded import DecodedImage
from i2i.images.inputs import ImageFile, ImageLike, ValueRange
from i2i.inference.backends.base import Backend
from i2i.inference.backends.exported import ExportedBackend, is_export, open_export
from i2i.inference.batches import batches
from i2i.inference.execution import Request, translate_batch
from i2i.inference.loading import load_direction
from i2i.inference.options import BatchOptions, Callbacks, LoadOptions, Options
from i2i.inference.sharing import Loaded, PushOptions, push_to_hub, save_pretrained
from i2i.model_file.header import find_direction
from i2i.pretrained import hub_file, model_file

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Unpack

    from i2i.model_file import Model

AsGiven = TypeVar("AsGiven", NDArray[Any], "Tensor", DecodedImage)


class Translator:
    """Translates images from one domain to another; several threads may use it at once.

    Attributes:
        backend: what computes.
        direction: `a2b`, or `b2a` where training learned both ways.
        domains: names of the domain translated from and of the domain translated to.
        swapped: whether the domain translated to came first in the training data.
        image_size: height and width of the training images, in pixels; any size can be translated.
        widens_to_16_bit: whether it was trained from 8 to 16 bit, so that an 8-bit file gives a 16-bit result.
        invert_dark: whether images that are mostly dark are inverted first, such as white lines on black for a model
            that was trained on black lines.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        direction: str = "a2b",
        domains: tuple[str, str] = ("a", "b"),
        swapped: bool = False,
        image_size: int = 256,
        widens_to_16_bit: bool = False,
        invert_dark: bool = False,
    ) -> None:
        self.backend = backend
        self.direction, self.domains, self.swapped = direction, domains, swapped
        self.image_size, self.widens_to_16_bit, self.invert_dark = image_size, widens_to_16_bit, invert_dark
        self._source: Loaded | None = None

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        to: str | None = None,
        device: str = "auto",
        backend: str = "auto",
        invert_dark: bool = False,
    ) -> Translator:
        """Load a model: its name, a model file, a run's folder, an exported file, or `hf://USER/NAME` of the Hub.

        Backbones of installed plug-ins (entry points of group `i2i`) are found; those of other modules must have been
        imported before. An exported file (.onnx, .xml) needs no PyTorch.

        Args:
            model: the name or the path.
            to: name of the domain to translate to, if the model translates both ways.
            device: `auto`, `cpu`, `cuda`, ...; an exported file is run on the CPU.
            backend: the library that computes: `torch`, `onnx` or `openvino`. `auto` is PyTorch for a model file, and
                for an exported file the fastest that is installed. `fastest` is that for a model file too, if it is on
                the CPU and gives what PyTorch gives; it is exported in memory first, which takes half a second.
            invert_dark: invert images that are mostly dark before they are translated.

        Raises:
            UsageError: there is no such model, device or backend, the model can't be read, or it doesn't translate to
                `to`.
        """
        if is_export(file := model_file(model)):
            exported = open_export(file, backend)
            return cls._exported(exported, to=to, device=device, invert_dark=invert_dark)
        loaded = load_direction(file, lambda header: find_direction(header["maps"], header["domains"], to))
        translator = cls.from_model(loaded, to=to, device=device, backend=backend, invert_dark=invert_dark)
        translator._source = Loaded.of(file)
        return translator

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        sha256: str | None = None,
        token: str | None = None,
        cache: str | Path | None = None,
        offline: bool = False,
        **options: Unpack[LoadOptions],
    ) -> Translator:
        """Load a model of the Hugging Face Hub, which is downloaded unless it is in the cache.

        Args:
            model: `USER/NAME`, or a folder of `save_pretrained`; anything else that `load` takes, too.
            revision: a branch, a tag or, to be sure of what is loaded, a commit; the newest unless given.
            sha256: the SHA-256 sum that the model file must have, as hexadecimal digits.
            token: for a private repository; by default the one of `hf auth login`.
            cache: folder of the cache; by default the one of huggingface_hub, which `HF_HOME` moves.
            offline: load what is in the cache without asking the server.
            options: `to`, `device`, `backend` and `invert_dark`; see `load`.

        Raises:
            UsageError: as `load`; or there is no such repository or revision, it can't be reached and isn't in the
                cache, or the sum differs.
        """
        file = hub_file(model, revision=revision, sha256=sha256, token=token, cache=cache, offline=offline)
        return cls.load(file, **options)

    def save_pretrained(self, folder: str | Path, *, licence: str | None = None) -> Path:
        """Write the model file and a model card into a folder; see `i2i.inference.sharing.save_pretrained`."""
        return save_pretrained(Loaded.unchanged(self._source), folder, licence=licence)

    def push_to_hub(self, repository: str, **options: Unpack[PushOptions]) -> str:
        """Upload the model file and a model card; see `i2i.inference.sharing.push_to_hub`."""
        return push_to_hub(Loaded.unchanged(self._source), repository, **options)

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        to: str | None = None,
        device: str = "auto",
        backend: str = "auto",
        invert_dark: bool = False,
    ) -> Translator:
        """Translate with a generator of a loaded model file; see `load`."""
        from i2i.inference.backends.torch import TorchBackend
        from i2i.networks import Generator

        direction = find_direction(model.generators, model.domains, to)
        generator = model.generators[direction]
        assert isinstance(generator, Generator)
        computing: Backend = (reference := TorchBackend(generator, device=pick_device(device)))
        if backend not in ("auto", "torch"):
            from i2i.inference.exporting.in_memory import exported_in_memory, fastest

            if backend != "fastest":
                exported = exported_in_memory(model, direction, reference, backend)
                return cls._exported(exported, to=to, device=device, invert_dark=invert_dark)
            computing = fastest(model, direction, reference)
        return cls._of(computing, direction, vars(model), invert_dark=invert_dark)

    @classmethod
    def _exported(cls, exported: ExportedBackend, *, to: str | None, device: str, invert_dark: bool) -> Translator:
        direction = find_direction([exported.network.direction], exported.header["domains"], to)
        if device.partition(":")[0] not in ("auto", "cpu"):
            raise UsageError(f"{setting('device', device)}: an exported model is run on the CPU; use the model file")
        return cls._of(exported, direction, exported.header, invert_dark=invert_dark)

    @classmethod
    def _of(cls, backend: Backend, direction: str, about: Mapping[str, Any], *, invert_dark: bool) -> Translator:
        """Translate with a backend, as the entries `domains`, `preprocess` and `config` of its header say."""
        forward, preprocess = direction == "a2b", about["preprocess"]
        depths = tuple(preprocess.get("depths", (8, 8)))
        return cls(
            backend,
            direction=direction,
            domains=about["domains"] if forward else about["domains"][::-1],
            swapped=bool(about["config"].get("data", {}).get("swap")) == forward,
            image_size=int(preprocess.get("image_size", 256)),
            widens_to_16_bit=(depths if forward else depths[::-1]) == (8, 16),
            invert_dark=invert_dark,
        )

    @property
    def device(self) -> str:
        """Where the backend computes, as PyTorch names it: `cpu`, `cuda`, `cuda:1`."""
        return self.backend.device

    @overload
    def __call__(self, image: ImageFile, *, samples: None = None, **options: Unpack[Options]) -> Image.Image: ...
    @overload
    def __call__(self, image: ImageFile, *, samples: int, **options: Unpack[Options]) -> list[Image.Image]: ...
    @overload
    def __call__(self, image: AsGiven, *, samples: None = None, **options: Unpack[Options]) -> AsGiven: ...
    @overload
    def __call__(self, image: AsGiven, *, samples: int, **options: Unpack[Options]) -> list[AsGiven]: ...
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

        The result depends on the arguments alone: not on PyTorch's random state, default dtype or device, autocast, or
        gradient mode, all of which stay as they are.

        Args:
            image: a PIL image, an array, a tensor, a path, an open file, or the bytes of an image file; see
                `i2i.images.adapters.adapt`.
            seed: which of the plausible outputs, if the model has many (bicyclegan); 0 unless given.
            samples: return a list of this many outputs, of the seeds `seed`, `seed + 1` and so on.
            tile: translate in tiles of this height and width, in pixels, to save memory; the result is that of the
                full image (see `i2i.inference.tiling.exact`).
            value_range: black and white of a float array or tensor, and of its result, such as (0, 1); (-1, 1) unless
                given, with a warning if no value is below 0.

        Raises:
            ImageError: the image can't be read.
            UsageError: a seed or samples for a model with one output per input, or a tile or range that isn't one.
        """
        if samples is None:
            seeds = None if seed is None else [seed]
            return next(self.batch([image], batch_size=1, seeds=seeds, tile=tile, value_range=value_range))
        if samples < 1:
            raise UsageError(f"samples {samples}: it must be 1 or more")
        first = seed or 0
        return list(
            self.batch([image] * samples, seeds=range(first, first + samples), tile=tile, value_range=value_range)
        )

    @overload
    def batch(self, images: Iterable[ImageFile], **options: Unpack[BatchOptions]) -> Iterator[Image.Image]: ...
    @overload
    def batch(self, images: Iterable[AsGiven], **options: Unpack[BatchOptions]) -> Iterator[AsGiven]: ...
    @overload
    def batch(self, images: Iterable[ImageLike], **options: Unpack[BatchOptions]) -> Iterator[Any]: ...
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

        An image's result equals that of the image alone, to rounding. An image that is too large for the device's
        memory is translated in tiles, with a warning unless `callbacks` are given.

        Args:
            images: read one by one; see `__call__`.
            batch_size: images that go through the network together, at most.
            seeds: one for each image.
            tile: see `__call__`.
            value_range: of all float images; see `__call__`.
            callbacks: called while large images are translated.

        Raises:
            ImageError: an image can't be read.
            UsageError: the batch size or `tile` is below 1, or seeds for a model with one output per input.
            ValueError: more or fewer seeds than images.
        """
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size}: it must be 1 or more")
        if tile is not None and tile < 1:
            raise UsageError(f"tile {tile}: it must be 1 or more pixels")
        if seeds is not None and not self.backend.latent:
            raise UsageError(
                f"this model gives one output for an input; leave out {setting('seed')} and {setting('samples')}"
            )
        requests = self._requests(images, seeds, value_range)
        for batch in batches(requests, batch_size, size=lambda request: request.adapter.shape):
            yield from translate_batch(self.backend, batch, tile=tile, callbacks=callbacks or Callbacks())

    def _requests(
        self, images: Iterable[ImageLike], seeds: Iterable[int] | None, value_range: ValueRange | None
    ) -> Iterator[Request]:
        with_seeds = zip(images, itertools.repeat(0) if seeds is None else seeds, strict=seeds is not None)
        channels, widen = self.backend.in_channels, self.widens_to_16_bit
        for position, (image, seed) in enumerate(with_seeds):
            with isolated():
                adapter = adapt(image, channels=channels, widen_to_16_bit=widen, value_range=value_range)
                if self.invert_dark:
                    adapter = InvertedAdapter(adapter)
            yield Request(adapter, seed, position)
