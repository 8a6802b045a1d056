"""How near an exported network is to PyTorch, and how fast."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from i2i.errors import UsageError, setting
from i2i.images.array_adapters import DecodedAdapter
from i2i.images.padding import padded
from i2i.images.reading import images_in, read
from i2i.inference.backends.base import Backend

Batch = NDArray[np.float32]
_REPEATS = 10
# What is allowed between an export and PyTorch: the largest difference, of 2 from black to white, and PSNR in dB.
TOLERANCES = {"fp32": (1e-3, 70.0), "fp16": (0.1, 45.0), "int8": (2.0, 28.0)}


class Parity(NamedTuple):
    """An exported network beside PyTorch.

    Attributes:
        images: number of images compared.
        largest: difference of any value, where black is -1 and white 1.
        psnr: in dB, the mean over images; infinite where they are equal.
        ssim: the mean over images.
        milliseconds: of an image in the exported network, alone in its batch.
        milliseconds_torch: of an image in PyTorch.
    """

    images: int
    largest: float
    psnr: float
    ssim: float
    milliseconds: float
    milliseconds_torch: float

    def fits(self, precision: str) -> bool:
        """Whether it lies within the tolerance of a precision."""
        largest, psnr = TOLERANCES[precision]
        return self.largest <= largest and self.psnr >= psnr


def compare(exported: Backend, reference: Backend, images: Sequence[Batch], z: Batch | None) -> Parity:
    """Run both on the same images.

    Args:
        exported: what is judged.
        reference: PyTorch.
        images: (1, C, H, W) each, in [-1, 1].
        z: the latent of all, (1, latent), if they take one.
    """
    largest, psnr, ssim = 0.0, [], []
    for image in images:
        ours, theirs = exported(image, z)[0], reference(image, z)[0]
        difference = np.abs(ours - theirs)
        largest = max(largest, float(difference.max()))
        error = float((difference.astype(np.float64) ** 2).mean())
        psnr.append(10 * np.log10(4 / error) if error else np.inf)
        window = min(7, *ours.shape[1:]) // 2 * 2 - 1
        ssim.append(structural_similarity(ours, theirs, data_range=2, channel_axis=0, win_size=max(window, 3)))
    times = [_median_ms(functools.partial(network, images[0], z)) for network in (exported, reference)]
    return Parity(len(images), largest, float(np.mean(psnr)), float(np.mean(ssim)), *times)


def calibration_images(folder: Path) -> list[Path]:
    """The inputs in a folder.

    Raises:
        UsageError: it is none, or holds no images.
    """
    if not folder.is_dir():
        raise UsageError(f"{setting('calibration', folder)} is not a folder; give a folder of inputs")
    if not (images := images_in(folder)):
        raise UsageError(f"{setting('calibration', folder)}: there are no images in this folder")
    return images


def inputs_of(paths: Sequence[Path], *, like: Backend, side: int) -> list[Batch]:
    """Images as a network sees them: the middle of each, `side` pixels high and wide at most."""
    side = _side_taken(like, side)
    inputs = []
    for path in paths:
        adapter = DecodedAdapter(read(path), channels=like.in_channels)
        _, height, width = adapter.shape
        rows, columns, _ = padded(height, width, multiple=like.multiple, smallest=like.smallest)
        middle = (indices[max(len(indices) - side, 0) // 2 :][:side] for indices in (rows, columns))
        inputs.append(np.ascontiguousarray(adapter.read(*middle), np.float32))
    return inputs


def synthetic_inputs(count: int, *, like: Backend, side: int) -> list[Batch]:
    """Smooth random images with some noise, where there are no real ones."""
    side = _side_taken(like, side)
    rng = np.random.default_rng(0)
    across = np.linspace(0, 2 * np.pi, side, dtype=np.float32)
    inputs = []
    for _ in range(count):
        waves = [np.sin(rng.uniform(1, 6) * across + rng.uniform(0, 6)) for _ in range(2 * like.in_channels)]
        planes = [np.outer(down, right) for down, right in zip(waves[::2], waves[1::2], strict=True)]
        noisy = 0.8 * np.stack(planes) + 0.1 * rng.standard_normal((like.in_channels, side, side))
        inputs.append(noisy.clip(-1, 1)[None].astype(np.float32))
    return inputs


def _side_taken(network: Backend, side: int) -> int:
    """The largest height and width that a network takes, not above `side` if it takes such."""
    return max(side // network.multiple * network.multiple, network.smallest)


def _median_ms(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
