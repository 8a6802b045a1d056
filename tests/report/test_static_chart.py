from __future__ import annotations

from i2i.report.charts import Chart
from i2i.report.static_chart import static_chart


def drawn(curves, kind="losses"):
    return static_chart(Chart("generator", "Generator", "", curves, kind))


def test_curves_span_the_box_between_their_lowest_and_highest_value():
    drawing = drawn({"one": [(100, 2.0), (200, 4.0)], "two": [(300, 3.0), (500, 3.5)]})
    assert drawing.paths == {"one": "M0.0 200.0L150.0 0.0", "two": "M300.0 100.0L600.0 50.0"}
    assert drawing[1:] == (2.0, 4.0, 100, 500)


def test_a_share_spans_zero_to_one():
    assert drawn({"share": [(1, 0.25), (3, 0.5)]}, "share").paths == {"share": "M0.0 150.0L600.0 100.0"}


def test_terms_of_very_different_sizes_are_drawn_on_a_logarithmic_scale():
    paths = drawn({"one": [(1, 1.0), (3, 1.0)], "two": [(1, 100.0), (2, 10.0), (3, 100.0)]}).paths
    assert paths["two"] == "M0.0 0.0L300.0 100.0L600.0 0.0"


def test_a_single_value_and_a_flat_curve_are_drawn_in_the_middle():
    assert drawn({"dot": [(7, 5.0)]}).paths == {"dot": "M0.0 100.0L0.0 100.0"}
    assert drawn({"flat": [(7, 5.0), (8, 5.0)]}).paths == {"flat": "M0.0 100.0L600.0 100.0"}


def test_long_curves_are_thinned():
    path = drawn({"long": [(step, float(step % 7)) for step in range(10_000)]}).paths["long"]
    assert 100 < path.count("L") < 150
