import numpy as np
import pytest
import torch
from torch import nn

from i2i.evaluation.scores import set_distances
from i2i.evaluation.scores.feature_distances import frechet_distance, kernel_distance, polynomial_kernel, products


def distances(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The Frechet and the kernel distance of two sets of features."""
    counts = np.ones(len(a)), np.ones(len(b))
    frechet, kernel = (set_distances[f"{name}_distance"](a, b).compute(*counts) for name in ("frechet", "kernel"))
    return frechet, kernel


def gaussian(n: int, mean: list[float], deviations: list[float], seed: int = 0) -> np.ndarray:
    """Features whose sample mean and covariance (over n - 1) are exactly those, along the axes."""
    z = np.random.default_rng(seed).normal(size=(n, len(mean)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return z * deviations + mean


def test_frechet_distance_of_two_gaussians_by_the_formula() -> None:
    a, b = gaussian(50, [0, 0, 1], [1, 2, 3]), gaussian(70, [1, -2, 1], [2, 2, 0.5], seed=1)
    # |m - m'|^2 = 1 + 4 + 0, and (s - s')^2 along each axis = 1 + 0 + 6.25
    assert distances(a, b)[0] == pytest.approx(5 + 7.25)
    # Covariances that don't commute: C = diag(4, 1), C' = C rotated by 45 degrees. For 2 x 2 the trace of the
    # root is sqrt(tr(C C') + 2 sqrt(det C det C')), and tr(C C') = 4 * 2.5 + 1 * 2.5.
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    c, d = gaussian(30, [0, 0], [2, 1]), gaussian(30, [0, 0], [2, 1], seed=1) @ turn
    assert distances(c, d)[0] == pytest.approx(10 - 2 * np.sqrt(12.5 + 2 * 4))


@pytest.mark.parametrize("dimensions", [3, 200])
def test_the_distance_of_a_set_from_itself_is_zero(dimensions: int) -> None:
    features = np.random.default_rng(0).normal(100, 1, (20, dimensions))
    frechet, kernel = distances(features, features[::-1])
    assert frechet == pytest.approx(0, abs=1e-6)
    assert kernel <= 0  # unbiased: 0 on average over sets of one distribution, so below 0 for equal sets


def test_the_kernel_distance_by_hand() -> None:
    # k(x, y) = (x y + 1)^3 of one feature: within the first 1, within the second 1, between (1 + 1 + 1 + 27) / 4.
    a, b = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    assert distances(a, b)[1] == pytest.approx(1 + 1 - 2 * 7.5)


def test_the_kernel_distance_is_unbiased_and_the_frechet_distance_is_not() -> None:
    rng = np.random.default_rng(0)
    found = np.array([distances(*rng.normal(size=(2, 25, 8))) for _ in range(300)])
    frechet, kernel = found.T
    assert abs(kernel.mean()) < 3 * kernel.std() / np.sqrt(300)
    assert frechet.mean() > 10 * frechet.std() / np.sqrt(300)


def test_counts_are_equivalent_to_repeated_images() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(1, 2, size=(4, 3))
    counts = np.array([2.0, 0, 1, 1, 1])
    repeated = np.repeat(a, counts.astype(int), axis=0)
    expected = frechet_distance(products(repeated, b), np.ones(5), np.ones(4))
    assert frechet_distance(products(a, b), counts, np.ones(4)) == pytest.approx(expected)
    # The kernel distance doesn't compare an image with its own copy: by hand, over pairs of different images.
    kernels = polynomial_kernel(products(a, b), 3)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    within = sum(counts[i] * counts[j] * kernels.aa[i, j] for i, j in pairs) / sum(
        counts[i] * counts[j] for i, j in pairs
    )
    within_b = (kernels.bb.sum() - kernels.bb.trace()) / 12
    expected = within + within_b - 2 * (counts @ kernels.ab).sum() / 20
    assert kernel_distance(kernels, counts, np.ones(4)) == pytest.approx(expected)


class Flat(nn.Module):
    """Pixels as features, for torchmetrics."""

    num_features = 12

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()


@pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features")
def test_both_distances_agree_with_torchmetrics() -> None:
    fid_module = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics isn't installed")
    kid_module = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics isn't installed")
    torch.manual_seed(0)
    real, fake = torch.randn(30, 3, 2, 2), torch.randn(30, 3, 2, 2) * 1.5 + 0.3
    frechet = fid_module.FrechetInceptionDistance(feature=Flat())
    kernel = kid_module.KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=30)
    for metric in (frechet, kernel):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    ours = distances(fake.flatten(1).double().numpy(), real.flatten(1).double().numpy())
    assert ours[0] == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert ours[1] == pytest.approx(float(kernel.compute()[0]), rel=1e-4)
