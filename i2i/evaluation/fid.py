"""Distances between two sets of images, by what a network sees in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from i2i.evaluation.bootstrap import Bootstrap, Score, Values, centred_percentiles
from i2i.evaluation.features import FeatureNetwork
from i2i.progress import Progress


class Distance(NamedTuple):
    """A distance, and where 95 % of resamplings fall, around it."""

    value: float
    interval: tuple[float, float] | None


class Products(NamedTuple):
    """All products of the features of two sets with each other: (N, N), (N, M) and (M, M)."""

    aa: Values
    ab: Values
    bb: Values


def distance_scores(
    network: FeatureNetwork, fake: Values, real: Values, bootstrap: Bootstrap, *, paired: bool
) -> dict[str, Score]:
    """The scores by their short names; see `distances`. Only by Inception's features are they called FID and KID."""
    slug = network.name.replace("-", "_")
    names, labels = ("fid", "kid"), ("FID", "KID")
    if network.name != "inception":
        names = (f"frechet_distance_{slug}", f"kernel_distance_{slug}")
        labels = (f"Frechet distance ({network.name})", f"kernel distance ({network.name})")
    notes = (
        f"features: {network.layer}; images: {network.resize}, {network.normalisation}. It grows the fewer images "
        f"there are: compare it with that of {len(fake)} and {len(real)} alone",
        "the same features, without that bias",
    )
    found = distances(fake, real, bootstrap, paired=paired)
    about = {"n_real": len(real), "features": network.name}
    return {
        name: Score(label, one.value, one.interval, len(fake), note, "lower", about)
        for name, label, one, note in zip(names, labels, found, notes, strict=True)
    }


def distances(fake: Values, real: Values, bootstrap: Bootstrap, *, paired: bool) -> tuple[Distance, Distance]:
    """The Frechet and the kernel distance of two sets' features.

    Args:
        fake: features of translations, (N, D); N is 2 or more.
        real: features of images as they should look, (M, D); M is 2 or more.
        bootstrap: how to resample.
        paired: whether the two sets are resampled together, because their images belong together.

    Returns:
        Both with their intervals, moved to surround them (see `centred_percentiles`). They are those of sets of this
        size: the Frechet distance of few images is too large, by how much depends on how many.
    """
    assert min(len(fake), len(real)) > 1
    middle = real.mean(axis=0)  # products of small numbers round less
    centred = products(fake - middle, real - middle)
    kernels = polynomial(products(fake, real), fake.shape[1])
    draws_a = bootstrap.counts(len(fake))
    draws_b = draws_a if paired else bootstrap.counts(len(real), of="b")
    ones = np.ones(len(fake)), np.ones(len(real))
    values = frechet_distance(centred, *ones), kernel_distance(kernels, *ones)
    drawn = [
        (frechet_distance(centred, a, b), kernel_distance(kernels, a, b))
        for a, b in Progress(
            zip(draws_a.astype(float), draws_b.astype(float), strict=True), "resampling", len(draws_a), unit="set"
        )
        if min(np.count_nonzero(a), np.count_nonzero(b)) > 1
    ]
    spread = np.array(drawn).reshape(-1, 2)
    frechet, kernel = (Distance(v, centred_percentiles(v, s)) for v, s in zip(values, spread.T, strict=True))
    return frechet, kernel


def products(a: Values, b: Values) -> Products:
    """The products of features (N, D) and (M, D)."""
    return Products(a @ a.T, a @ b.T, b @ b.T)


def frechet_distance(of: Products, counts_a: Values, counts_b: Values) -> float:
    """The Frechet distance of two Gaussians with the means and covariances of the two sets' features.

    Source: Heusel et al. 2017, eq. 6: |m - m'|^2 + tr(C + C' - 2 (C C')^1/2), covariances over n - 1. The last trace is
    the sum of the singular values of the centred features' products, which needs no matrix of D x D: resampling
    hundreds of images costs milliseconds, and the result is exact for fewer images than features too.

    Args:
        of: products of the features; of features moved by any vector the distance is the same.
        counts_a: how often each image of the first set counts, (N,); ones for the set itself.
        counts_b: those of the second, (M,).

    Returns:
        The squared distance, at least 0 but for rounding.
    """
    n, m = counts_a.sum(), counts_b.sum()
    within_a, within_b = counts_a @ of.aa @ counts_a / n, counts_b @ of.bb @ counts_b / m
    means = within_a / n - 2 * (counts_a @ of.ab @ counts_b) / (n * m) + within_b / m
    spread_a = (counts_a @ of.aa.diagonal() - within_a) / (n - 1)
    spread_b = (counts_b @ of.bb.diagonal() - within_b) / (m - 1)
    across = of.ab - (of.ab @ counts_b)[:, None] / m
    across = (across - counts_a @ across / n) * np.sqrt(np.outer(counts_a, counts_b))
    across = across[np.ix_(counts_a > 0, counts_b > 0)]
    shared = np.linalg.svd(across, compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
    return float(means + spread_a + spread_b - 2 * shared)


def kernel_distance(kernels: Products, counts_a: Values, counts_b: Values) -> float:
    """The squared maximum mean discrepancy of two sets, without bias: about 0, perhaps below, for equals.

    Source: Binkowski et al. 2018, sec. 4; Gretton et al. 2012, eq. 3. All images are taken at once, not subsets. In
    a resampling an image isn't compared with its own copies, which would bring the bias back.

    Args:
        kernels: `polynomial` of the products.
        counts_a: how often each image of the first set counts, (N,).
        counts_b: those of the second, (M,).
    """

    def apart(kernel: Values, counts: Values) -> float:
        own = counts**2
        return float((counts @ kernel @ counts - own @ kernel.diagonal()) / (counts.sum() ** 2 - own.sum()))

    between = float(counts_a @ kernels.ab @ counts_b / (counts_a.sum() * counts_b.sum()))
    return apart(kernels.aa, counts_a) + apart(kernels.bb, counts_b) - 2 * between


def polynomial(of: Products, dimensions: int) -> Products:
    """The kernel of Binkowski et al. 2018, (x y / D + 1)^3, of all products of D features."""
    return Products(*((one / dimensions + 1) ** 3 for one in of))
