import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.metrics import structural_similarity

from i2i.errors import UsageError
from i2i.evaluation.paired import l1, ms_ssim, pair_scores, psnr, scales, ssim
from i2i.evaluation.pixels import only_colour, pixels_of

RNG = np.random.default_rng(0)


def test_l1_and_psnr_by_hand() -> None:
    target = RNG.integers(20, 200, (16, 16, 3)).astype(float)
    assert l1(target + 5, target) == 5
    assert psnr(target + 5, target) == pytest.approx(10 * np.log10(255**2 / 25))
    assert psnr(target, target) == 100
    off = target.copy()
    off[0, 0, 0] += 1e-6
    assert psnr(off, target) == 100


def test_levels_of_every_depth_are_counted_in_255() -> None:
    for white in (np.uint8(255), np.uint16(65535), np.float32(1)):
        assert pixels_of(np.full((1, 1, 1), white))[0, 0, 0] == 255
    assert pixels_of(np.array([[[257]]], np.uint16))[0, 0, 0] == 1


def test_structure_decides_and_brightness_hardly() -> None:
    target = RNG.integers(0, 200, (176, 176, 1)).astype(float)
    other = RNG.integers(0, 200, (176, 176, 1)).astype(float)
    for score in (ssim, ms_ssim):
        assert score(target, target) == pytest.approx(1)
        assert score(target + 10, target) > 0.9 > 0.2 > score(other, target)


def test_ms_ssim_of_one_scale_is_the_mean_of_the_gaussian_ssim() -> None:
    target = astronaut()[:20, 200:220, :1].astype(float)
    result = (target + RNG.normal(0, 20, target.shape)).clip(0, 255)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "truncate": 10 / 3}
    _, similarity = structural_similarity(target[..., 0], result[..., 0], data_range=255, full=True, **options)
    assert 0.2 < similarity.mean() < 0.9
    assert ms_ssim(result, target) == pytest.approx(similarity.mean(), abs=0.01)  # they mirror the border differently


@pytest.mark.parametrize(
    ("size", "count"),
    [(10, 0), (11, 1), (20, 1), (21, 2), (43, 2), (44, 3), (98, 3), (99, 4), (175, 4), (176, 5), (999, 5)],
)
def test_ms_ssim_has_the_scales_that_a_image_has_place_for(size: int, count: int) -> None:
    assert scales(size, 999) == scales(999, size) == count
    if count > 0 and size < 200:
        assert ms_ssim(np.zeros((size, size, 1)), np.zeros((size, size, 1))) == pytest.approx(1)


def test_what_is_asked_for_decides_which_scores_there_are() -> None:
    cpu = torch.device("cpu")
    assert list(pair_scores(32, cpu, with_ms_ssim=False, with_lpips=False)) == ["l1", "psnr", "ssim"]
    assert list(pair_scores(6, cpu, with_ms_ssim=False, with_lpips=False)) == ["l1", "psnr"]
    found = pair_scores(32, cpu, with_ms_ssim=True, with_lpips=False)["ms_ssim"]
    assert (found.label, found.about["scales"]) == ("MS-SSIM, 2 scales", 2)
    with pytest.raises(UsageError, match="MS-SSIM needs images of 11 px, and this model's have 8"):
        pair_scores(8, cpu, with_ms_ssim=True, with_lpips=False)


def test_many_channels_are_no_colours() -> None:
    only_colour(1, "--lpips")
    only_colour(3, "--lpips")
    with pytest.raises(UsageError, match="--lpips is for grey or colour images, and this model gives 4 channels"):
        only_colour(4, "--lpips")
