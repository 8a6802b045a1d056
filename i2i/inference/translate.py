"""Translate an image in one call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from PIL import Image

from i2i.images.inputs import ImageFile, ImageLike, ValueRange
from i2i.inference.options import LoadOptions, Options
from i2i.inference.translator import AsGiven, Translator
from i2i.pretrained import model_file

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ModelOptions(Options, LoadOptions, total=False):
    """Options of `translate`, for type checkers."""


@overload
def translate(
    image: ImageFile, model: str | Path | Translator, *, samples: None = None, **options: Unpack[ModelOptions]
) -> Image.Image: ...
@overload
def translate(
    image: ImageFile, model: str | Path | Translator, *, samples: int, **options: Unpack[ModelOptions]
) -> list[Image.Image]: ...
@overload
def translate(
    image: AsGiven, model: str | Path | Translator, *, samples: None = None, **options: Unpack[ModelOptions]
) -> AsGiven: ...
@overload
def translate(
    image: AsGiven, model: str | Path | Translator, *, samples: int, **options: Unpack[ModelOptions]
) -> list[AsGiven]: ...
def translate(
    image: ImageLike,
    model: str | Path | Translator,
    *,
    to: str | None = None,
    device: str = "auto",
    backend: str = "auto",
    invert_dark: bool = False,
    seed: int | None = None,
    samples: int | None = None,
    tile: int | None = None,
    value_range: ValueRange | None = None,
) -> Any:
    """Translate an image with a model; the result has the type of the input.

    A model is loaded once and cached: `translate(photo, "map2sat")` in a loop is as fast as a Translator.

    Args:
        image: a PIL image, an array, a tensor, a path, an open file, or the bytes of an image file; see
            `i2i.images.adapters.adapt`.
        model: the name of a pretrained model, a model file, a run's folder, an exported file (.onnx, .xml),
            `hf://USER/NAME` of the Hugging Face Hub, or a Translator.
        to: name of the domain to translate to, if the model translates both ways.
        device: `auto`, `cpu`, `cuda`, ...; ignored for a Translator, which has its own.
        backend: `torch`, `onnx`, `openvino` or `auto`; see `Translator.load`. Ignored for a Translator.
        invert_dark: invert an image that is mostly dark first, such as white lines on black for a model that was
            trained on black lines; ignored for a Translator.
        seed: which of the plausible outputs, if the model has many; see `Translator.__call__`.
        samples: return a list of this many outputs.
        tile: translate in tiles of this height and width, in pixels; see `Translator.__call__`.
        value_range: black and white of a float array or tensor, such as (0, 1); (-1, 1) unless given.

    Raises:
        UsageError: there is no such model, it doesn't translate to that domain, or it has one output per input.
        ImageError: the image can't be read.
    """
    if not isinstance(model, Translator):
        file = model_file(model)
        model = _loaded(file, file.stat().st_mtime_ns, to, device, backend, invert_dark)
    call: Callable[..., Any] = model  # instead of an overload
    return call(image, seed=seed, samples=samples, tile=tile, value_range=value_range)


@functools.lru_cache(maxsize=4)
def _loaded(
    file: Path,
    mtime: int,  # noqa: ARG001
    to: str | None,
    device: str,
    backend: str,
    invert_dark: bool,
) -> Translator:
    return Translator.load(file, to=to, device=device, backend=backend, invert_dark=invert_dark)
