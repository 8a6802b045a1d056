from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from i2i import Spec
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.video.smoothing import MovingStatistics, SmoothedBackend, can_smooth
from i2i.networks import build_generator


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smoothed(moving: MovingStatistics, mean: Tensor, variance: Tensor, cuts: list[bool]) -> tuple[Tensor, Tensor]:
    moving.expect(cuts)
    moving.begin()
    result = moving.smooth(mean, variance, 100)
    moving.commit(len(cuts))
    return result


def test_moments_are_averaged_in_closed_form() -> None:
    means, variances = drawn(3, 2), drawn(3, 2, seed=1).square()
    mean, square = means[0], variances[0] + means[0] ** 2
    for index in (1, 2):
        mean = 0.75 * mean + 0.25 * means[index]
        square = 0.75 * square + 0.25 * (variances[index] + means[index] ** 2)
    result = smoothed(MovingStatistics(0.75), means, variances, [True, False, False])
    torch.testing.assert_close((result[0][2], result[1][2]), (mean, square - mean**2), rtol=1e-4, atol=1e-5)


def test_a_batch_gives_what_its_frames_give_one_by_one() -> None:
    means, variances, cuts = drawn(5, 3), drawn(5, 3, seed=1).square(), [True, False, False, True, False]
    together = smoothed(MovingStatistics(0.6), means, variances, cuts)
    moving = MovingStatistics(0.6)
    for index, cut in enumerate(cuts):
        own = slice(index, index + 1)
        alone = smoothed(moving, means[own], variances[own], [cut])
        torch.testing.assert_close(alone, (together[0][own], together[1][own]))


def test_a_failed_pass_is_forgotten() -> None:
    first, second = drawn(1, 3), drawn(1, 3, seed=1)
    moving, ones = MovingStatistics(0.5), torch.ones(1, 3)
    smoothed(moving, first, ones, [True])
    moving.expect([False])
    for _ in range(2):  # once more after it failed
        moving.begin()
        mean, _ = moving.smooth(second, ones, 100)
    torch.testing.assert_close(mean, (first + second) / 2)


def test_statistics_of_a_pixel_are_not_smoothed() -> None:
    moving = MovingStatistics(0.9)
    moving.expect([True, False])
    moving.begin()
    means, variances = drawn(2, 3), torch.zeros(2, 3)
    assert torch.equal(moving.smooth(means, variances, 1)[0], means)


@pytest.mark.parametrize(
    "spec", ["resnet:blocks=1,width=4", "unet:depth=3,width=4,norm=batch,norm_at_inference=sample,dropout=0.5"]
)
@torch.no_grad()
def test_frames_that_begin_scenes_equal_frames_alone(spec: str) -> None:
    torch.manual_seed(0)
    generator = build_generator(Spec.parse(f"{spec},in_channels=3,out_channels=3")).eval()
    backend = SmoothedBackend(TorchBackend(generator), strength=0.9)
    x = drawn(3, 3, 32, 32).clamp(-1, 1)
    backend.moving.expect([True] * 3)
    torch.testing.assert_close(backend.run(x), generator(x), rtol=1e-4, atol=1e-4)
    backend.moving.expect([False] * 3)
    assert (backend.run(x) - generator(x)).abs().max() > 1e-2


def test_norms_with_statistics_of_images_are_recognised() -> None:
    for spec, expected in (("norm=instance", True), ("norm=none", False), ("norm_at_inference=running", False)):
        generator = build_generator(Spec.parse(f"unet:depth=3,width=4,in_channels=3,out_channels=3,{spec}"))
        assert can_smooth(generator) is expected
    assert isinstance(generator, nn.Module)
