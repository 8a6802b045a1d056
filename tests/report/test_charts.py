from __future__ import annotations

import math

import pytest

from i2i.report.charts import MOST_POINTS, Chart, band_of, best_step, thinned
from i2i.report.run_folder import read_run
from support.report import DISTANCES, LINES, SCORES, SUMMARY, make_run, page_of


def test_players_and_scores_have_their_own_charts(full):
    charts = {chart["key"]: chart for chart in page_of(full).data["charts"]}
    first = ["validation/l1", "validation/psnr", "generator", "discriminator"]
    assert list(charts) == [*first, "fake_accuracy", "lr", "images_per_second"]
    assert charts["generator"]["curves"] == {
        "adversarial": [[100, 200, 300], [0.7, 0.7, 0.7]],
        "l1": [[100, 200, 300], [0.5, 0.25, 0.16667]],
    }
    assert charts["validation/l1"]["best"] == charts["validation/psnr"]["best"] == 200
    assert charts["generator"]["best"] is None
    assert [chart["kind"] for chart in charts.values()] == [*["score"] * 2, *["losses"] * 2, "share", "rate", "speed"]


def test_curves_keep_the_order_of_the_metrics(tmp_path):
    folder = make_run(tmp_path, lines=[{"step": 1, "generator/l1": 1.0, "generator/adversarial": 1.0}])
    (chart,) = page_of(folder).data["charts"]
    assert list(chart["curves"]) == ["l1", "adversarial"]


@pytest.mark.parametrize(
    ("terms", "log"), [((0.5, 20.0), True), ((0.5, 10.0), False), ((-0.5, 20.0), False), ((0.0, 20.0), False)]
)
def test_terms_of_very_different_sizes_default_to_a_logarithmic_scale(terms, log):
    curves = {f"{index}": [(1, value), (2, value)] for index, value in enumerate(terms)}
    chart = Chart("generator", "Generator", "", curves, "losses")
    assert (chart.can_log, chart.is_log) == (min(terms) > 0, log)


def test_short_curves_are_not_thinned():
    curve = [(step, 1.0 / (step + 1)) for step in range(MOST_POINTS)]
    assert thinned(curve) == curve


@pytest.mark.parametrize("count", [1001, 2000, 4999, 5000])
def test_thinning_keeps_the_mean_the_last_step_and_the_extremes(count):
    values = [math.sin(index / 300) for index in range(count)]
    values[count // 2] = 90.0
    curve = [(50 * (index + 1), value) for index, value in enumerate(values)]
    thin = thinned(curve)
    every = math.ceil(count / 1000)
    assert len(thin) == math.ceil(count / every) <= 1000
    assert thin[-1][0] == curve[-1][0]
    assert [step for step, _ in thin] == sorted({step for step, _ in thin})
    sizes = [every] * (len(thin) - 1) + [count - every * (len(thin) - 1)]
    mean = sum(value * size for (_, value), size in zip(thin, sizes, strict=True)) / count
    assert mean == pytest.approx(sum(values) / count)
    assert min(v for _, v in thin) == pytest.approx(min(values), abs=0.02)
    assert 89 / every <= max(v for _, v in thin) <= 90
    assert thinned([(1, 1.0), (2, 3.0), (3, 5.0)], most=2) == [(2, 2.0), (3, 5.0)]


def test_both_directions_of_a_score_share_a_chart_with_their_intervals(tmp_path):
    folder = make_run(tmp_path, lines=LINES + DISTANCES)
    (chart,) = (chart for chart in page_of(folder).data["charts"] if chart["kind"] == "score")
    assert (chart["title"], chart["unit"]) == ("Kernel distance", "features of my net, lower is better")
    assert chart["curves"] == {
        "mean": [[100, 200, 300], [0.6, 0.4, 0.45]],
        "map → sat": [[100, 200, 300], [0.5, 0.4, 0.3]],
        "sat → map": [[100, 200, 300], [0.7, 0.4, 0.6]],
    }
    assert chart["bands"] == {
        "map → sat": [[100, 200, 300], [0.4, 0.3, 0.2], [0.7, 0.6, 0.5]],
        "sat → map": [[100, 200, 300], [0.4, 0.1, 0.3], [1.1, 0.8, 1.0]],
    }
    assert chart["best"] == 200


def test_a_score_of_one_direction_has_its_own_name_and_kid_is_named_so(tmp_path):
    name = "validation/kernel_distance_inception"
    folder = make_run(tmp_path, lines=[{"step": 5, name: 0.1, f"{name}/low": -0.1, f"{name}/high": 0.3}])
    (chart,) = page_of(folder).data["charts"]
    assert (chart["title"], chart["unit"]) == ("KID", "lower is better")
    assert chart["curves"] == {"KID": [[5], [0.1]]}
    assert chart["bands"] == {"KID": [[5], [-0.1], [0.3]]}


def test_without_a_summary_the_best_step_is_that_of_the_lowest_kernel_distance_or_else_l1(tmp_path):
    assert best_step(read_run(make_run(tmp_path / "l1", lines=SCORES))) == 200
    lower_later = [{"step": 300, "validation/l1": 1.0}]
    assert best_step(read_run(make_run(tmp_path / "both", lines=lower_later + DISTANCES))) == 200
    assert (
        best_step(read_run(make_run(tmp_path / "said", lines=DISTANCES, summary=SUMMARY | {"best": {"step": 100}})))
        == 100
    )


def test_intervals_are_thinned_like_their_curves():
    curves = {f"x{end}": [(step, value) for step in range(3000)] for end, value in (("/low", 1.0), ("/high", 2.0))}
    band = band_of("x", {name: thinned(curve) for name, curve in curves.items()})
    assert len(band) == MOST_POINTS
    assert set(band) == {(step, 1.0, 2.0) for step in range(2, 3000, 3)}
