from dataclasses import replace

import numpy as np
import pytest

from i2i.evaluation.bootstrap import Bootstrap
from i2i.evaluation.features import FeatureNetwork
from i2i.evaluation.set_distances import distance_scores

NETWORK = FeatureNetwork("tiny", lambda x: x, "a layer", "a kernel", "a norm", "file", "hash")


def test_intervals_are_as_wide_as_the_scatter_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    deviations = 1 / np.arange(1, 61)
    results = []
    for seed in range(25):
        a, b = rng.normal(size=(2, 40, 60)) * deviations
        results.append(distance_scores(NETWORK, a + 0.2, b, Bootstrap(40, seed), paired=False))
    for name in results[0]:
        values = np.array([result[name].value for result in results])
        widths = np.array([np.diff(result[name].interval)[0] for result in results])
        assert 0.6 < widths.mean() / (3.92 * values.std()) < 1.6
        inside = [r[name].interval[0] < values.mean() < r[name].interval[1] for r in results]
        assert np.mean(inside) > 0.75


def test_pairs_are_resampled_together() -> None:
    features = np.random.default_rng(0).normal(100, 1, (20, 3))
    paired, unpaired = (
        distance_scores(NETWORK, features, features, Bootstrap(20), paired=paired)["frechet_distance_tiny"]
        for paired in (True, False)
    )
    assert paired.interval == pytest.approx((0, 0), abs=1e-6)
    assert unpaired.interval is not None
    assert np.diff(unpaired.interval)[0] > 0.1


@pytest.mark.parametrize(
    ("name", "keys"),
    [("inception", ["fid", "kid"]), ("my-net", ["frechet_distance_my_net", "kernel_distance_my_net"])],
)
def test_only_inception_features_give_fid_and_kid(name: str, keys: list[str]) -> None:
    network = replace(NETWORK, name=name)
    features = np.random.default_rng(0).normal(size=(2, 5, 3))
    scores = distance_scores(network, *features, Bootstrap(5), paired=True)
    assert list(scores) == keys
    labels = {score.label for score in scores.values()}
    assert labels == (
        {"FID", "KID"} if name == "inception" else {"Frechet distance (my-net)", "Kernel distance (my-net)"}
    )
    score = scores[keys[0]].to_dict()
    assert (score["n"], score["n_real"], score["features"]) == (5, 5, name)
    assert all(words in score["meaning"] for words in ("a layer", "a kernel", "a norm", "5 and 5 images"))
