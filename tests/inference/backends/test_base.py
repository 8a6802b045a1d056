"""A backend without PyTorch: a 3 x 3 box filter and an inversion in NumPy, in one file, run by a Translator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from i2i import Translator, UsageError
from i2i.inference.backends.base import Backend
from i2i.inference.folder import convert
from i2i.inference.options import Callbacks
from i2i.inference.planning import plan
from support.images import noise

Array = NDArray[np.float32]


class Box(Backend):
    """The mean of 3 x 3 pixels, edges repeated."""

    spec = "box"
    in_channels = out_channels = 3
    multiple, smallest = 4, 8

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, x: Array, z: Array | None = None) -> Array:
        assert isinstance(x, np.ndarray)
        assert x.dtype == np.float32
        assert z is None
        self.shapes.append(x.shape)
        edged = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        mean: Array = sliding_window_view(edged, (3, 3), (2, 3)).mean((-2, -1))
        return mean


class Inversion(Box):
    spec = "inversion"
    multiple = smallest = 1

    def __call__(self, x: Array, z: Array | None = None) -> Array:
        super().__call__(x, z)
        return -x


class Brightness(Box):
    """As bright as its latent says."""

    latent = 2

    def __call__(self, x: Array, z: Array | None = None) -> Array:
        assert z is not None
        assert z.shape == (len(x), 2)
        return np.broadcast_to(np.tanh(z[:, :1, None, None]), x.shape)


def blurred(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    edged = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    return sliding_window_view(edged, (3, 3), (0, 1)).mean((-2, -1))


def test_a_full_image() -> None:
    backend, image = Box(), noise(21, 34, 3)
    result = Translator(backend)(image)
    assert backend.shapes == [(1, 3, 24, 36)]  # padded to its multiple
    assert result.dtype == np.uint8
    assert np.abs(result - blurred(image))[1:-1, 1:-1].max() <= 0.51  # at the edges it saw the mirrored image


def test_batches() -> None:
    backend = Inversion()
    images = [noise(6, width, 3, seed=width + index) for index, width in enumerate((9, 9, 9, 5))]
    results = list(Translator(backend).batch(images, batch_size=2))
    assert [shape[0] for shape in backend.shapes] == [2, 1, 1]
    assert all((result == 255 - image).all() for result, image in zip(results, images, strict=True))


@pytest.mark.parametrize("tile", [1, 5, 16, 100])
def test_tiles_are_blended_into_the_whole_image(tile: int) -> None:
    backend, image = Box(), noise(50, 70, 3)
    translator = Translator(backend)
    result = translator(image, tile=tile)
    assert max(shape[2] * shape[3] for shape in backend.shapes) < 52 * 72 or tile == 100
    difference = np.abs(result.astype(int) - translator(image))
    assert difference.max() <= 1 or tile == 1  # of which windows don't overlap


def test_tiles_of_an_inversion_are_exact() -> None:
    image = noise(37, 53, 3, dtype=np.uint16)
    assert (Translator(Inversion())(image, tile=16) == 65535 - image).all()


def test_tensors_and_files_too(tmp_path: Path) -> None:
    translator = Translator(Inversion())
    tensor = torch.linspace(-1, 1, 2 * 3 * 4 * 5).view(2, 3, 4, 5)
    assert torch.equal(translator(tensor), -tensor)
    Image.fromarray(noise(4, 5, 3)).save(tmp_path / "x.png")
    assert (np.asarray(translator(tmp_path / "x.png")) == 255 - noise(4, 5, 3)).all()


def test_a_latent_is_drawn_for_each_seed() -> None:
    translator = Translator(Brightness())
    x = -torch.ones(1, 3, 8, 8)
    for tile in (None, 4):
        for seed, result in enumerate(translator(x, samples=2, tile=tile)):
            z = np.random.default_rng(seed).standard_normal(2, np.float32)[0]
            torch.testing.assert_close(result, torch.full_like(x, float(np.tanh(z))))
    with pytest.raises(UsageError, match="one output for an input"):
        Translator(Box())(x, seed=1)


def test_a_folder_remembers_its_backend(tmp_path: Path) -> None:
    class Reimplemented(Inversion):
        """Another class that says the same of itself."""

    (tmp_path / "in").mkdir()
    Image.fromarray(noise(4, 5, 3)).save(tmp_path / "in/x.png")
    jobs = plan(str(tmp_path / "in"), tmp_path / "out")
    options = {"record": tmp_path / "out", "progress": False}
    assert len(convert(jobs, Translator(Inversion()), **options).written) == 1
    assert len(convert(jobs, Translator(Inversion()), **options).skipped) == 1
    with pytest.raises(UsageError, match="with other weights"):
        convert(jobs, Translator(Reimplemented()), **options)


def test_a_large_image_is_translated_in_tiles_where_its_memory_is_known() -> None:
    class Hungry(Inversion):
        def memory_per_pixel(self) -> float:
            return 1e12

    image = noise(1050, 1000, 3)
    for backend, count in ((Inversion(), 1), (Hungry(), 2)):
        messages: list[str] = []
        callbacks = Callbacks(on_fallback=lambda _, message, messages=messages: messages.append(message))  # type: ignore[misc]
        (result,) = Translator(backend).batch([image], callbacks=callbacks)
        assert (result == 255 - image).all()
        assert len(backend.shapes) == count
        assert len(messages) == count - 1
