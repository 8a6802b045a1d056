from __future__ import annotations

import math

from i2i.report.rendering import _HERE, COLOURS, duration


def test_durations_are_rounded():
    expected = {0.4: "0 s", 29: "29 s", 60: "1 min", 3599: "1 h 0 min", 5400: "1 h 30 min", 90000: "1 d 1 h"}
    assert {seconds: duration(seconds) for seconds in expected} == expected
    assert duration(math.inf).endswith(" h")


def test_style_and_script_have_as_many_colours_as_the_templates():
    style, script = ((_HERE / name).read_text() for name in ("page.css", "page.js"))
    assert [f".c{index} {{" in style for index in range(COLOURS + 1)] == [True] * COLOURS + [False]
    assert f"const COLOURS = {COLOURS};" in script
