import numpy as np
import pytest
import torch
from torch import nn

from i2i.evaluation.bootstrap import Bootstrap
from i2i.evaluation.features import FeatureNetwork
from i2i.evaluation.fid import distance_scores, distances, frechet_distance, kernel_distance, polynomial, products

NONE = Bootstrap(0)


def gaussian(n: int, mean: list[float], deviations: list[float], seed: int = 0) -> np.ndarray:
    """Features whose sample mean and covariance (over n - 1) are exactly those, along the axes."""
    z = np.random.default_rng(seed).normal(size=(n, len(mean)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T
    return z * deviations + mean


def test_two_gaussians_by_the_formula() -> None:
    a, b = gaussian(50, [0, 0, 1], [1, 2, 3]), gaussian(70, [1, -2, 1], [2, 2, 0.5], seed=1)
    # |m - m'|^2 = 1 + 4 + 0, and (s - s')^2 along each axis = 1 + 0 + 6.25
    assert distances(a, b, NONE, paired=False)[0].value == pytest.approx(5 + 7.25)
    # Covariances that don't commute: C = diag(4, 1), C' = the same turned by 45 degrees. For 2 x 2 the trace of the
    # root is sqrt(tr(C C') + 2 sqrt(det C det C')), and tr(C C') = 4 * 2.5 + 1 * 2.5.
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    c, d = gaussian(30, [0, 0], [2, 1]), gaussian(30, [0, 0], [2, 1], seed=1) @ turn
    assert distances(c, d, NONE, paired=False)[0].value == pytest.approx(10 - 2 * np.sqrt(12.5 + 2 * 4))


@pytest.mark.parametrize("dimensions", [3, 200])
def test_a_set_has_no_distance_from_itself(dimensions: int) -> None:
    features = np.random.default_rng(0).normal(100, 1, (20, dimensions))
    frechet, kernel = distances(features, features[::-1], NONE, paired=False)
    assert frechet.value == pytest.approx(0, abs=1e-6)
    assert kernel.value <= 0  # without bias, it is below 0 for a set and itself, as it must be on average 0
    frechet, _ = distances(features, features, Bootstrap(20), paired=True)
    assert frechet.interval == pytest.approx((0, 0), abs=1e-6)


def test_the_kernel_distance_by_hand() -> None:
    # k(x, y) = (x y + 1)^3 of one feature: within the first 1, within the second 1, between (1 + 1 + 1 + 27) / 4.
    a, b = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    assert distances(a, b, NONE, paired=False)[1].value == pytest.approx(1 + 1 - 2 * 7.5)


def test_the_kernel_distance_has_no_bias_and_the_frechet_distance_has() -> None:
    rng = np.random.default_rng(0)
    found = np.array(
        [[d.value for d in distances(*rng.normal(size=(2, 25, 8)), NONE, paired=False)] for _ in range(300)]
    )
    frechet, kernel = found.T
    assert abs(kernel.mean()) < 3 * kernel.std() / np.sqrt(300)
    assert frechet.mean() > 10 * frechet.std() / np.sqrt(300)


def test_counts_say_how_often_a_image_is_in_a_set() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(1, 2, size=(4, 3))
    counts = np.array([2.0, 0, 1, 1, 1])
    repeated = np.repeat(a, counts.astype(int), axis=0)
    whole = frechet_distance(products(repeated, b), np.ones(5), np.ones(4))
    assert frechet_distance(products(a, b), counts, np.ones(4)) == pytest.approx(whole)
    # In the kernel distance an image isn't compared with its own copy: by hand, over the pairs of unlike ones.
    kernels = polynomial(products(a, b), 3)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    within = sum(counts[i] * counts[j] * kernels.aa[i, j] for i, j in pairs) / sum(
        counts[i] * counts[j] for i, j in pairs
    )
    apart = (kernels.bb.sum() - kernels.bb.trace()) / 12
    expected = within + apart - 2 * (counts @ kernels.ab).sum() / 20
    assert kernel_distance(kernels, counts, np.ones(4)) == pytest.approx(expected)


def test_the_intervals_are_as_wide_as_the_scores_scatter() -> None:
    rng = np.random.default_rng(0)
    deviations = 1 / np.arange(1, 61)
    results = []
    for seed in range(25):
        a, b = rng.normal(size=(2, 40, 60)) * deviations
        results.append(distances(a + 0.2, b, Bootstrap(40, seed), paired=False))
    for kind in range(2):
        values = np.array([result[kind].value for result in results])
        widths = np.array([np.diff(result[kind].interval)[0] for result in results])
        assert 0.6 < widths.mean() / (3.92 * values.std()) < 1.6
        inside = [r[kind].interval[0] < values.mean() < r[kind].interval[1] for r in results]
        assert np.mean(inside) > 0.75


class Flat(nn.Module):
    """Pixels as features, for torchmetrics."""

    num_features = 12

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).float()


@pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features")
def test_both_are_what_torchmetrics_computes() -> None:
    fid_module = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics isn't installed")
    kid_module = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics isn't installed")
    torch.manual_seed(0)
    real, fake = torch.randn(30, 3, 2, 2), torch.randn(30, 3, 2, 2) * 1.5 + 0.3
    frechet = fid_module.FrechetInceptionDistance(feature=Flat())
    kernel = kid_module.KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=30)
    for metric in (frechet, kernel):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    ours = distances(fake.flatten(1).double().numpy(), real.flatten(1).double().numpy(), NONE, paired=False)
    assert ours[0].value == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert ours[1].value == pytest.approx(float(kernel.compute()[0]), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "keys"),
    [("inception", ["fid", "kid"]), ("my-net", ["frechet_distance_my_net", "kernel_distance_my_net"])],
)
def test_only_inception_gives_fid_and_kid(name: str, keys: list[str]) -> None:
    network = FeatureNetwork(name, lambda x: x, "a layer", "a kernel", "a norm", "file", "sum")
    features = np.random.default_rng(0).normal(size=(2, 5, 3))
    scores = distance_scores(network, *features, Bootstrap(5), paired=True)
    assert list(scores) == keys
    labels = {score.label for score in scores.values()}
    assert labels == (
        {"FID", "KID"} if name == "inception" else {"Frechet distance (my-net)", "kernel distance (my-net)"}
    )
    said = scores[keys[0]].to_dict()
    assert (said["n"], said["n_real"], said["features"]) == (5, 5, name)
    assert all(words in said["meaning"] for words in ("a layer", "a kernel", "a norm", "of 5 and 5"))
