from __future__ import annotations

import json

import pytest

from i2i.report.run_folder import read_run
from support.report import CONFIG, LINES, SCORES, SUMMARY, make_run, page_of

MALFORMED = [
    '{"step": 400, "los',
    "",
    "null",
    "[1, 2]",
    '"step"',
    "{}",
    '{"lr": 1}',
    '{"step": null, "lr": 1}',
    '{"step": "5", "lr": 1}',
    '{"step": -5, "lr": 1}',
    '{"step": 1.5, "lr": 1}',
    '{"step": true, "lr": 1}',
    '{"step": NaN, "lr": 1}',
    '{"step": 9, "lr": NaN, "generator/l1": Infinity, "fake_accuracy": null, "x": [1], "validation/l1": "low"}',
    '{"step": 9, "generator/l1": 1' + "0" * 400 + "}",
    "[" * 100_000,
    "\x00\ufffd\u2028",
]


def test_malformed_lines_are_skipped(tmp_path):
    expected, malformed = make_run(tmp_path / "expected", lines=LINES), make_run(tmp_path / "malformed")
    lines = [json.dumps(line) for line in LINES]
    text = "\n".join([*MALFORMED[:5], lines[0], *MALFORMED[5:], *lines[1:], MALFORMED[0]])
    (malformed / "metrics.jsonl").write_bytes(text.encode() + b"\xff\xfe")
    assert read_run(malformed).curves == read_run(expected).curves
    assert page_of(malformed).data["charts"] == page_of(expected).data["charts"]


def test_curves_are_sorted_by_step(tmp_path):
    run = read_run(make_run(tmp_path, lines=[LINES[2], LINES[0], LINES[1]]))
    assert [step for step, _ in run.curves["lr"]] == [100, 200, 300]


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [1, "x"], True, -1.5, {"a": 1}])
def test_settings_and_summaries_of_any_type_are_tolerated(tmp_path, value):
    config, summary = (dict.fromkeys(keys, value) for keys in (CONFIG, SUMMARY | {"defaults": 1, "processes": 1}))
    page_of(make_run(tmp_path, config=config, summary=summary, lines=LINES + SCORES, grids=[5]))
    nested = {key: dict.fromkeys(inner, value) if isinstance(inner, dict) else inner for key, inner in CONFIG.items()}
    summary = {"best": {"step": value, "value": value}, "maps": {"a2b": value}, "defaults": {"options": value}}
    page_of(make_run(tmp_path, config=nested, summary=summary, lines=LINES))
    page_of(make_run(tmp_path, config=value, summary=value))


def test_only_numbered_png_files_are_sample_grids(tmp_path):
    folder = make_run(tmp_path, grids=[500, 1000000, 20])
    (folder / "samples" / ".i2i-1234.png").write_bytes(b"")
    (folder / "samples" / "notes.png").write_bytes(b"")
    (folder / "samples" / "1000001.png").write_bytes(b"torn")
    run = read_run(folder)
    assert list(run.samples) == [20, 500, 1000000, 1000001]
    assert "width" not in page_of(folder).of("img")[0], "the size of the torn file is unknown"
