import numpy as np
import pytest
import torch

from i2i.evaluation.scores import Outputs, paired_scores
from i2i.evaluation.scores.paired import l1, psnr, ssim

RNG = np.random.default_rng(0)


def test_l1_and_psnr_by_hand() -> None:
    target = RNG.integers(20, 200, (16, 16, 3)).astype(float)
    assert l1(target + 5, target) == 5
    assert psnr(target + 5, target) == pytest.approx(10 * np.log10(255**2 / 25))
    assert psnr(target, target) == 100
    off = target.copy()
    off[0, 0, 0] += 1e-6
    assert psnr(off, target) == 100


def test_ssim_depends_on_structure_and_hardly_on_brightness() -> None:
    target = RNG.integers(0, 200, (64, 64, 1)).astype(float)
    other = RNG.integers(0, 200, (64, 64, 1)).astype(float)
    assert ssim(target, target) == pytest.approx(1)
    assert ssim(target + 10, target) > 0.9 > 0.2 > ssim(other, target)


def test_images_smaller_than_the_window_have_no_ssim() -> None:
    for size, names in ((7, ["l1", "psnr", "ssim"]), (6, ["l1", "psnr"])):
        outputs = Outputs(size, 3, torch.device("cpu"))
        assert [name for name in paired_scores if paired_scores[name](outputs)] == names
