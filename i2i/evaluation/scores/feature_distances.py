"""Frechet and kernel distance between the features of two sets of images: FID and KID with Inception's features."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from i2i.evaluation.bootstrap import Values
from i2i.evaluation.scores.base import SetDistance, set_distances


class Products(NamedTuple):
    """Inner products of all features of two sets: (N, N), (N, M) and (M, M)."""

    aa: Values
    ab: Values
    bb: Values


def products(a: Values, b: Values) -> Products:
    """The inner products of features (N, D) and (M, D)."""
    return Products(a @ a.T, a @ b.T, b @ b.T)


def frechet_distance(inner: Products, counts_a: Values, counts_b: Values) -> float:
    """Frechet distance between Gaussians with the means and covariances of two sets of features.

    Source: Heusel et al. 2017, eq. 6: |m - m'|^2 + tr(C + C' - 2 (C C')^1/2), with covariances over n - 1. The trace of
    the root is the sum of the singular values of the centred features' inner products, which needs no D x D matrix:
    resampling hundreds of images takes milliseconds, and the result is exact for fewer images than features too.

    Args:
        inner: inner products of the features; shifting all features by a vector doesn't change the distance.
        counts_a: how often each image of the first set counts, (N,); ones for the set itself.
        counts_b: the same for the second set, (M,).

    Returns:
        The squared distance, at least 0 up to rounding.
    """
    n, m = counts_a.sum(), counts_b.sum()
    within_a, within_b = counts_a @ inner.aa @ counts_a / n, counts_b @ inner.bb @ counts_b / m
    means = within_a / n - 2 * (counts_a @ inner.ab @ counts_b) / (n * m) + within_b / m
    trace_a = (counts_a @ inner.aa.diagonal() - within_a) / (n - 1)
    trace_b = (counts_b @ inner.bb.diagonal() - within_b) / (m - 1)
    cross = inner.ab - (inner.ab @ counts_b)[:, None] / m
    cross = (cross - counts_a @ cross / n) * np.sqrt(np.outer(counts_a, counts_b))
    cross = cross[np.ix_(counts_a > 0, counts_b > 0)]
    trace_of_root = np.linalg.svd(cross, compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
    return float(means + trace_a + trace_b - 2 * trace_of_root)


def kernel_distance(kernels: Products, counts_a: Values, counts_b: Values) -> float:
    """Unbiased squared maximum mean discrepancy of two sets: about 0, possibly negative, for equal distributions.

    Source: Binkowski et al. 2018, sec. 4; Gretton et al. 2012, eq. 3. All images are used at once instead of subsets.
    In a resample an image isn't compared with its own copies, which would bring the bias back.

    Args:
        kernels: `polynomial_kernel` of the inner products.
        counts_a: how often each image of the first set counts, (N,).
        counts_b: the same for the second set, (M,).
    """

    def mean_of_pairs(kernel: Values, counts: Values) -> float:
        squares = counts**2
        return float((counts @ kernel @ counts - squares @ kernel.diagonal()) / (counts.sum() ** 2 - squares.sum()))

    between = float(counts_a @ kernels.ab @ counts_b / (counts_a.sum() * counts_b.sum()))
    return mean_of_pairs(kernels.aa, counts_a) + mean_of_pairs(kernels.bb, counts_b) - 2 * between


def polynomial_kernel(inner: Products, dimensions: int) -> Products:
    """The kernel of Binkowski et al. 2018, (x y / D + 1)^3, of the inner products of D features."""
    return Products(*((product / dimensions + 1) ** 3 for product in inner))


@set_distances.register("frechet_distance")
def _frechet(fake: Values, real: Values) -> SetDistance:
    mean = real.mean(axis=0)  # centred, because products of small numbers are rounded less
    bias = f"biased upwards for few images: compare only with scores of {len(fake)} and {len(real)} images"
    return SetDistance(
        partial(frechet_distance, products(fake - mean, real - mean)), "Frechet distance", bias, inception_label="FID"
    )


@set_distances.register("kernel_distance")
def _kernel(fake: Values, real: Values) -> SetDistance:
    kernels = polynomial_kernel(products(fake, real), fake.shape[1])
    return SetDistance(
        partial(kernel_distance, kernels), "Kernel distance", "unbiased for few images", inception_label="KID"
    )
