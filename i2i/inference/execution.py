"""Translate a batch of images of one size with a backend: whole, in tiles, or in tiles once memory has run out."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2i.device import isolated
from i2i.images.array_adapters import ImageAdapter
from i2i.images.arrays import Array, as_float32, concatenate
from i2i.images.padding import Frame, padded
from i2i.inference.backends.base import Backend
from i2i.inference.memory import out_of_memory
from i2i.inference.options import Callbacks
from i2i.seeding import latent_of

_FALLBACK_TILES = (1024, 512, 256, 128)  # tried in turn if an image is too large for the memory


class Request(NamedTuple):
    """An image to translate.

    Attributes:
        adapter: reads the image, and makes the result of its type.
        seed: of the latent, if the model takes one.
        position: among the images given.
    """

    adapter: ImageAdapter
    seed: int
    position: int


def translate_batch(backend: Backend, batch: list[Request], *, tile: int | None, callbacks: Callbacks) -> list[Any]:
    """Translate images of one size together; each result has the type of its image.

    Args:
        backend: what computes.
        batch: images of equal shape.
        tile: translate each in tiles of this height and width, in pixels; if it isn't given, an image that is too
            large for the memory is translated in tiles.
        callbacks: called while large images are translated.
    """
    if backend.window is not None:  # windows overlap by half, so that they can be blended
        fits = max(batch[0].adapter.shape[1:]) <= backend.window
        tile = None if fits else backend.window // 2
    with isolated(backend.device):
        if tile is not None:
            return [_in_tiles(backend, request, tile, callbacks) for request in batch]
        if backend.fits(sum(math.prod(request.adapter.shape) for request in batch)):
            try:
                return _whole(backend, batch)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
        if len(batch) == 1:
            return [_in_fallback_tiles(backend, batch[0], callbacks)]
    return [result for one in batch for result in translate_batch(backend, [one], tile=None, callbacks=callbacks)]


def _whole(backend: Backend, batch: list[Request]) -> list[Any]:
    _, height, width = batch[0].adapter.shape
    rows, columns, frame = padded(height, width, multiple=backend.multiple, smallest=backend.smallest)
    pixels = [request.adapter.read(rows, columns) for request in batch]
    latents = [_latent(backend, request.seed, len(images)) for request, images in zip(batch, pixels, strict=True)]
    z = np.concatenate([latent for latent in latents if latent is not None]) if backend.latent else None
    outputs, start = backend.run(concatenate(pixels), z), 0
    for request, images in zip(batch, pixels, strict=True):
        _write_inside(frame, request.adapter, outputs[start : start + len(images)], 0, 0)
        start += len(images)
    return [request.adapter.result() for request in batch]


def _in_tiles(backend: Backend, request: Request, tile: int, callbacks: Callbacks) -> Any:
    adapter = request.adapter
    count, height, width = adapter.shape
    rows, columns, frame = padded(height, width, multiple=backend.multiple, smallest=backend.smallest)

    backend.tiler().translate(
        lambda down, across: adapter.read(rows[down], columns[across]),
        functools.partial(_write_inside, frame, adapter),
        (len(rows), len(columns)),
        tile=tile,
        z=_latent(backend, request.seed, count),
        on_progress=callbacks.on_progress,
    )
    return adapter.result()


def _in_fallback_tiles(backend: Backend, request: Request, callbacks: Callbacks) -> Any:
    _, height, width = request.adapter.shape
    for tile in _FALLBACK_TILES:
        try:
            result = _in_tiles(backend, request, tile, callbacks)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or tile == _FALLBACK_TILES[-1]:
                raise
            continue  # not in here, where the error keeps its tensors' memory alive
        message = f"{width} x {height} pixels are too many at once for the memory: translated in tiles of {tile}"
        callbacks.on_fallback(request.position, message)
        return result
    raise AssertionError("the last tile size returns or raises")


def _latent(backend: Backend, seed: int, count: int) -> NDArray[np.float32] | None:
    """The latent of a seed, the same for `count` images: (count, latent)."""
    if not backend.latent:
        return None
    return np.repeat(latent_of(seed, backend.latent), count, axis=0)


def _write_inside(frame: Frame, adapter: ImageAdapter, output: Array, top: int, left: int) -> None:
    """Write what lies inside the image of a part of the padded output, whose first row and column there are given."""
    first_row, first_column = max(frame.top - top, 0), max(frame.left - left, 0)
    stop_row, stop_column = max(frame.top + frame.height - top, 0), max(frame.left + frame.width - left, 0)
    inside = output[:, :, first_row:stop_row, first_column:stop_column]
    if 0 not in inside.shape:
        adapter.write(as_float32(inside), top=top + first_row - frame.top, left=left + first_column - frame.left)
