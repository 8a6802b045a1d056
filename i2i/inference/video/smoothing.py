"""Smooth the statistics of a network's norms over the frames of a video, against flicker.

A norm that takes its mean and variance from each image changes the tone of all of a frame when something enters it.
With a moving average of these statistics, the tone follows slowly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.images.arrays import Array
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.tiling.exact import ExactTiler
from i2i.inference.tiling.global_norm import NormStatistics, normalises_by_itself, with_global_norms
from i2i.inference.tiling.tiler import Read, Write
from i2i.networks import Generator
from i2i.networks.layers import Dropout

_FEW_PIXELS = 4  # statistics of fewer say nothing about a scene


class MovingStatistics:
    """Exponential moving average of each norm's mean and second moment, over the frames of a scene.

    m(t) = strength * m(t - 1) + (1 - strength) * own(t), where own(t) is of frame t alone; the first frame of a scene
    takes its own. A batch of consecutive frames gives what the frames give one by one.

    Args:
        strength: from 0, no smoothing, to below 1.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._cuts: deque[bool] = deque()
        self._before: list[tuple[Tensor, Tensor]] = []  # of the frame before, by norm
        self._last: list[tuple[Tensor, Tensor]] = []

    def expect(self, cuts: Iterable[bool]) -> None:
        """Say of each frame that follows whether it begins a scene."""
        self._cuts.extend(cuts)

    def begin(self) -> None:
        """A forward pass follows, or the same once more because it failed."""
        self._last = []

    def smooth(self, mean: Tensor, variance: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """The statistics that the next norm takes, given those of each frame of a batch, (N, C) each.

        Args:
            mean: of each frame.
            variance: of each frame.
            pixels: of a frame at this norm.
        """
        frames = list(zip(mean, variance, strict=True))
        before_mean, before_variance = self._before[len(self._last)] if self._before else frames[0]
        before = before_mean.to(mean.device), before_variance.to(mean.device)  # tiles gather on the CPU
        smoothed = []
        for index, own in enumerate(frames):
            starts = self._cuts[index] or pixels < _FEW_PIXELS
            before = own if starts else self._mixed(before, own)
            smoothed.append(before)
        self._last.append(before)
        means, variances = zip(*smoothed, strict=True)
        return torch.stack(means), torch.stack(variances)

    def commit(self, frames: int) -> None:
        """The forward pass is done."""
        self._before = self._last
        for _ in range(frames):
            self._cuts.popleft()

    def _mixed(self, before: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        # The average of the second moments, as a variance: E[x^2] - E[x]^2 would lose precision far from zero.
        (mean_before, variance_before), (mean, variance), share = before, own, 1 - self._strength
        between = share * self._strength * (mean - mean_before).square()
        return torch.lerp(mean_before, mean, share), torch.lerp(variance_before, variance, share) + between


class SmoothedBackend(TorchBackend):
    """A generator that translates the frames of one video in their order, with moving statistics in its norms.

    Args:
        backend: the generator and its device.
        strength: see `MovingStatistics`.
    """

    def __init__(self, backend: TorchBackend, *, strength: float) -> None:
        super().__init__(backend.generator, device=torch.device(backend.device))
        self.moving = MovingStatistics(strength)
        self._smoothed = with_global_norms(self.generator, _FrameStatistics(self.moving.smooth))

    def run(self, x: Array, z: NDArray[np.float32] | None = None) -> Tensor:
        """Translate the next frames, (N, in_channels, H, W) in [-1, 1]; see `TorchBackend.run`."""
        self.moving.begin()
        latent = () if z is None else (torch.from_numpy(z).to(self._device),)
        result: Tensor = self._smoothed(torch.as_tensor(x).to(self._device), *latent)
        self.moving.commit(len(x))
        return result

    def tiler(self) -> ExactTiler:
        """Tiles of a frame, with the moving statistics of the full frame."""
        return _SmoothedTiler(self.generator, self._device, self.moving)


class _SmoothedTiler(ExactTiler):
    def __init__(self, generator: Generator, device: torch.device, moving: MovingStatistics) -> None:
        super().__init__(generator, device, adjust=moving.smooth)
        self._moving = moving

    def translate(
        self,
        read: Read,
        write: Write,
        size: tuple[int, int],
        *,
        tile: int,
        z: NDArray[np.float32] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self._moving.begin()
        super().translate(read, write, size, tile=tile, z=z, on_progress=on_progress)
        self._moving.commit(1)


class _FrameStatistics(NormStatistics):
    """Statistics of frames that are given whole."""

    def __init__(self, smooth: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]) -> None:
        super().__init__((1, 1))
        self._smooth = smooth

    def get(self, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
        return self._smooth(mean, variance, x.shape[2] * x.shape[3])

    def dropout_mask(self, layer: Dropout, x: Tensor) -> Tensor:
        key = layer, tuple(x.shape[1:])
        if key not in self._masks:
            self._masks[key] = layer.kept(key[1]).to(x.device)
        return self._masks[key]


def can_smooth(generator: Generator) -> bool:
    """Whether a network has norms that take their statistics from each image."""
    return any(map(normalises_by_itself, generator.modules()))
