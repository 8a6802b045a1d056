from i2i.evaluation.bootstrap import Score
from i2i.evaluation.table import as_table


def test_a_table_fits_100_columns_and_shows_four_digits() -> None:
    scores = [
        Score("L1", 34.0412, (33.123, 35.0), 200, "", "lower"),
        Score("distance", 0.00123456, (-0.01, 0.02), 3, "a word " * 30, "lower"),
        Score("count", 12345.6, None, 3),
        Score("nothing", float("nan"), None, 0),
        Score("zero", 0.0, (0.0, 0.0), 3),
    ]
    lines = as_table(scores).splitlines()
    assert lines[:6] == [
        "score       value  95 % interval        better",
        "L1          34.04  33.12 to 35.00       lower",
        "distance  0.00123  -0.01000 to 0.02000  lower",
        "count       12346",
        "nothing         -",
        "zero        0.000  0.000 to 0.000",
    ]
    assert max(map(len, lines)) <= 100
    assert lines[6:8] == ["", f"distance:{' a word' * 13}"]
    assert lines[8] == f" {' a word' * 14}"


def test_without_intervals_the_column_is_left_out() -> None:
    assert as_table([Score("L1", 1.5, None, 1, "", "lower")]) == "score  value    better\nL1     1.500    lower"
