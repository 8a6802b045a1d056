import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.metrics import structural_similarity

from i2i.errors import UsageError
from i2i.evaluation.scores import Outputs, extra_paired_scores
from i2i.evaluation.scores.ms_ssim import ms_ssim, scales

pytest.importorskip("torchmetrics", reason="torchmetrics isn't installed")
RNG = np.random.default_rng(0)


def test_ms_ssim_depends_on_structure_and_hardly_on_brightness() -> None:
    target = RNG.integers(0, 200, (176, 176, 1)).astype(float)
    other = RNG.integers(0, 200, (176, 176, 1)).astype(float)
    assert ms_ssim(target, target) == pytest.approx(1)
    assert ms_ssim(target + 10, target) > 0.9 > 0.2 > ms_ssim(other, target)


def test_ms_ssim_of_one_scale_is_the_mean_of_the_gaussian_ssim() -> None:
    target = astronaut()[:20, 200:220, :1].astype(float)
    result = (target + np.random.default_rng(0).normal(0, 10, target.shape)).clip(0, 255)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "truncate": 10 / 3}
    _, similarity = structural_similarity(target[..., 0], result[..., 0], data_range=255, full=True, **options)
    assert 0.2 < similarity.mean() < 0.9
    assert ms_ssim(result, target) == pytest.approx(similarity.mean(), abs=0.01)  # borders are mirrored differently


@pytest.mark.parametrize(
    ("size", "count"),
    [(10, 0), (11, 1), (20, 1), (21, 2), (43, 2), (44, 3), (98, 3), (99, 4), (175, 4), (176, 5), (999, 5)],
)
def test_small_images_have_fewer_scales(size: int, count: int) -> None:
    assert scales(size, 999) == scales(999, size) == count
    if count > 0 and size < 200:
        assert ms_ssim(np.zeros((size, size, 1)), np.zeros((size, size, 1))) == pytest.approx(1)


def test_the_label_names_the_scales_and_too_small_images_are_refused() -> None:
    cpu = torch.device("cpu")
    score = extra_paired_scores["ms_ssim"](Outputs(32, 3, cpu))
    assert score is not None
    assert (score.label, score.about["scales"]) == ("MS-SSIM, 2 scales", 2)
    with pytest.raises(UsageError, match="MS-SSIM needs images of at least 11 px, and this model's have 8"):
        extra_paired_scores["ms_ssim"](Outputs(8, 3, cpu))
