import numpy as np
import pytest

from i2i.evaluation.bootstrap import Bootstrap, centred_percentiles, percentiles, score_of_means


def test_the_interval_of_a_mean_matches_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    score = score_of_means("mean", values, Bootstrap(4000))
    assert score.interval is not None
    low, high = score.interval
    half = 1.96 * values.std() / 20
    assert (score.value, score.n) == (pytest.approx(values.mean()), 400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_resamples_depend_on_the_seed_alone() -> None:
    values = np.random.default_rng(0).normal(size=30)
    first, same, other = (score_of_means("mean", values, Bootstrap(50, seed)).interval for seed in (1, 1, 2))
    assert first == same != other
    a, b = (Bootstrap(50, 1).counts(30, of=of) for of in ("a", "b"))
    assert (a != b).any()
    assert (a.sum(axis=1) == 30).all()


def test_the_means_of_a_score_are_resampled_together() -> None:
    values = np.random.default_rng(0).uniform(1, 2, (50, 1)) * [1, 3]
    score = score_of_means("ratio", values, Bootstrap(50), of_means=lambda means: means[..., 1] / means[..., 0])
    assert score.value == pytest.approx(3)
    assert score.interval == pytest.approx((3, 3))  # every resample has the same ratio


def test_images_with_nan_are_left_out() -> None:
    score = score_of_means("mean", [1, np.nan, 3], Bootstrap(10))
    assert (score.value, score.n) == (2, 2)
    none = score_of_means("mean", [np.nan], Bootstrap(10))
    assert none.to_dict() == {
        "value": None,
        "interval": None,
        "n": 0,
        "label": "mean",
        "meaning": "",
        "better": None,
    }


@pytest.mark.parametrize(("values", "resamples"), [([4.0], 10), ([4.0, 5.0], 0)])
def test_without_resamples_there_is_no_interval(values: list[float], resamples: int) -> None:
    assert score_of_means("mean", values, Bootstrap(resamples)).interval is None


def test_centred_percentiles_surround_the_value() -> None:
    resampled = np.linspace(10, 12, 41)
    assert percentiles(resampled) == pytest.approx((10.05, 11.95))
    assert centred_percentiles(3.0, resampled) == pytest.approx((2.05, 3.95))
    assert centred_percentiles(3.0, resampled[:0]) is None
