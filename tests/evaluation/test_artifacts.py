import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import nn
from torch.nn import functional as F

from i2i.evaluation.artifacts import artifact_scores, checkerboard, luminance_correlation, peaks, strength
from i2i.evaluation.bootstrap import Bootstrap

RNG = np.random.default_rng(0)
# Crops of a photograph, (128, 128, 3).
PHOTOS = [astronaut()[top : top + 128, left : left + 128].astype(float) for top in (0, 128, 256) for left in (0, 192)]


def share_and_rms(images) -> tuple[float, float]:
    means = np.mean([peaks(image) for image in images], axis=0)
    return float(checkerboard(means)), float(strength(means))


def upsampled(layer: nn.Module) -> list[np.ndarray]:
    """The photographs at half size, enlarged by a layer with random weights and rescaled to their contrast."""
    results = []
    for photo in PHOTOS:
        small = F.avg_pool2d(torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 127.5 - 1, 2)
        with torch.no_grad():
            large = layer(small)[0]
        pixels = ((large - large.mean()) / large.std() * 50 + 128).clamp(0, 255).round()
        results.append(pixels.permute(1, 2, 0).double().numpy())
    return results


def test_luminance_correlation_of_a_negative_is_minus_one() -> None:
    photo = PHOTOS[0]
    assert luminance_correlation(photo, photo) == pytest.approx(1)
    assert luminance_correlation(photo, 255 - photo) == pytest.approx(-1)
    assert luminance_correlation(photo, photo @ np.array([[0.299], [0.587], [0.114]])) == pytest.approx(1)
    assert abs(luminance_correlation(RNG.normal(size=(128, 128, 1)), RNG.normal(size=(128, 128, 3)))) < 0.03
    assert np.isnan(luminance_correlation(photo, np.full_like(photo, 7)))


def test_alpha_does_not_count_as_luminance() -> None:
    grey = RNG.uniform(0, 255, (8, 8, 1))
    with_alpha = np.concatenate([grey, RNG.uniform(0, 255, (8, 8, 1))], axis=-1)
    assert luminance_correlation(grey, with_alpha) == pytest.approx(1)
    bands = RNG.uniform(0, 255, (8, 8, 5))
    assert luminance_correlation(bands, bands.mean(axis=-1, keepdims=True)) == pytest.approx(1)


def test_photographs_and_noise_have_no_checkerboard_artifacts() -> None:
    for images in (PHOTOS, RNG.integers(0, 256, (6, 64, 64, 1)), RNG.integers(0, 256, (20, 32, 32, 3))):
        assert share_and_rms(images) == pytest.approx((0, 0), abs=0.05)


@pytest.mark.parametrize("kernel", [3, 4])
def test_transposed_convolutions_leave_a_checkerboard_and_resizing_leaves_none(kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 3, kernel, stride=2, padding=1, output_padding=kernel % 2)
    share, rms = share_and_rms(upsampled(layer))
    assert share > 0.7
    assert rms > 3
    resizing = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 3, 3, padding=1))
    assert share_and_rms(upsampled(resizing)) == pytest.approx((0, 0), abs=0.1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_strength_and_period_of_a_pattern_are_measured(period: int) -> None:
    pattern = RNG.normal(size=(period, period))
    pattern -= pattern.mean()
    rms = 0.5 if period == 2 else 6
    tiles = np.tile(pattern / pattern.std() * rms, (128 // period, 128 // period))[..., None]
    share, found = share_and_rms([photo + tiles for photo in PHOTOS])
    assert share > 0.5
    assert found == pytest.approx(rms, rel=0.25)
    # In noise, whose spectrum is flat, the strength is measured more exactly.
    noise = [RNG.normal(128, 4, (128, 128, 1)) + tiles for _ in range(10)]
    assert share_and_rms(noise)[1] == pytest.approx(rms, rel=0.05)
    scores = artifact_scores([], [peaks(image) for image in noise], [peaks(photo) for photo in PHOTOS], Bootstrap(20))
    shares = scores["checkerboard"].about["periods"]
    assert shares[str(period)] > 0.3
    assert all(share < 0.05 for name, share in shares.items() if int(name) > period)  # shorter ones are harmonics


def test_constant_images_and_any_shape_are_accepted() -> None:
    assert share_and_rms([np.full((32, 40, 3), 9.0)]) == (0, 0)
    assert share_and_rms([PHOTOS[0][:45, :101]])[1] < 0.5


def test_small_images_have_no_checkerboard_score() -> None:
    assert list(artifact_scores([0.5, 0.7], [], [], Bootstrap(5))) == ["luminance_correlation"]
