from __future__ import annotations

import shutil

import pytest
from markupsafe import escape

from i2i.report import write_page
from i2i.report.charts import charts_of
from i2i.report.run_folder import read_run
from support.report import HOSTILE, LINES, make_run, page_of


def test_a_page_needs_nothing_but_the_grids_beside_it(full):
    page = page_of(full)
    urls = [a.get("src") or a.get("href") for a in page.of("img") + page.of("script") + page.of("link")]
    assert [url for url in urls if url and not url.startswith("data:")] == ["samples/000300.png"]
    assert "http:" not in page.source.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page.source


def test_the_header_shows_the_progress_of_the_run(full):
    page = page_of(full)
    assert page.text["h1"] == "pix2pix: map → sat"
    header = page.text["header"]
    # 300 steps of 2 images at 10 a second took 60 s, the other 100 take 20 s.
    for text in ("running", "300 of 400", "training time1 min", "time left20 s", "best step200"):
        assert text in header
    assert page.of("progress")[0] | {"aria-label": ""} == {"max": "400", "value": "300", "aria-label": ""}


def test_a_stopped_run_shows_the_time_that_it_would_still_take(tmp_path):
    page = page_of(make_run(tmp_path, lines=LINES, summary={"state": "stopped"}))
    assert "time left if resumed20 s" in page.text["header"]


def test_the_last_grid_is_shown_at_its_size_and_the_others_are_linked(full):
    page = page_of(full)
    (shown,) = page.of("img")
    assert (shown["src"], shown["width"], shown["height"]) == ("samples/000300.png", "60", "40")
    assert page.data["samples"] == [[step, f"samples/000{step}.png"] for step in (100, 200, 300)]
    links = [a["href"] for a in page.of("a")]
    assert [f"samples/000{step}.png" for step in (100, 200, 300)] == links[-3:]


def test_warnings_come_first_and_repeated_ones_are_merged(tmp_path):
    lines = [{"step": s, "warning": "W1", "advice": "A1"} for s in (10, 30, 20)]
    lines += [{"step": 5, "warning": f"old {i}"} for i in range(4)] + [{"step": 1000, "warning": "W2", "advice": None}]
    page = page_of(make_run(tmp_path, lines=lines, grids=[10]))
    start, end = page.source.index("Warnings</h2>"), page.source.index("Samples</h2>")
    assert start < end
    shown = page.source[start:end]
    assert [shown.count(text) for text in ("W1", "A1", "W2", "None")] == [1, 1, 1, 0]
    assert shown.index("step 1,000") < shown.index("step 30, 3 times since step 10") < shown.index("3 earlier")


def test_hostile_strings_stay_text(tmp_path):
    folder = tmp_path / HOSTILE.replace("/", "\N{FRACTION SLASH}")
    config = {
        "method": HOSTILE,
        "paths": [HOSTILE],
        "plugins": [HOSTILE],
        "made_by": HOSTILE,
        "options": {HOSTILE: HOSTILE},
        "data": {"image_size": HOSTILE},
        "train": {"generator": HOSTILE, "steps": 200},
    }
    texts = ("layout", "command", "device", "state")
    summary = dict.fromkeys(texts, HOSTILE) | {"domains": [HOSTILE, HOSTILE], "maps": {HOSTILE: HOSTILE}}
    lines = [
        {"step": 1, f"generator/{HOSTILE}": 1.0, f"{HOSTILE}/l1": 1.0, f"validation/{HOSTILE}": 2.0},
        {"step": 1, "warning": HOSTILE, "advice": HOSTILE},
    ]
    page = page_of(make_run(folder, config=config, summary=summary, lines=lines, grids=[1]))
    assert len(page.of("script")) == 2
    assert len(page.of("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    # Shown in full: in the header, commands, facts and settings, and as the name of a curve.
    for name in ("h1", "commands", "data", "networks", "settings", "curves", "scores", "footer"):
        assert HOSTILE in page.text[name], name
    assert any(HOSTILE in name for chart in page.data["charts"] for name in chart["curves"])
    assert escape(HOSTILE) in page.source


@pytest.mark.parametrize("name", [b"caf\xe9", "кириллица".encode(), b"a\nb"])
def test_any_folder_name_works(tmp_path, name):
    try:
        folder = make_run(tmp_path / name.decode("utf-8", "surrogateescape"), lines=LINES)
    except OSError:
        pytest.skip("the file system refuses such names")
    assert page_of(folder).text["h1"]


def test_an_empty_folder_has_a_page(tmp_path):
    page = page_of(tmp_path)
    assert page.data == {"charts": [], "samples": [], "warnings": [], "running": False}
    assert "No sample grid yet" in page.text["samples"]
    assert "No metrics yet" in page.text["curves"]


def test_a_failed_write_leaves_the_earlier_page(full, monkeypatch):
    write_page(full)
    before = (full / "report.html").read_bytes()
    again = make_run(full, lines=[{"step": 400, "lr": 1.0}])

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page(again)
    assert (full / "report.html").read_bytes() == before
    assert not list(full.glob(".i2i-*"))
    monkeypatch.undo()
    write_page(again)
    assert (full / "report.html").read_bytes() != before


def test_writing_a_page_changes_nothing_else(full):
    before = {path: path.read_bytes() for path in full.rglob("*.*") if path.is_file()}
    write_page(full)
    write_page(full)
    after = {path: path.read_bytes() for path in full.rglob("*.*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} == {"report.html"}
    assert {path: after[path] for path in before} == before


def test_the_page_of_a_trained_run(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "boxes")
    page = page_of(folder)
    assert page.text["h1"] == "pix2pix: drawing → photo"
    assert "12 of 12" in page.text["header"]
    assert [step for step, _ in page.data["samples"]] == [0, 6, 12]
    # What training writes into summary.json is what the report reads.
    assert "drawing → photounet:" in page.text["networks"]
    assert "Training images6" in page.text["data"]
    assert "--image-size32256" in page.text["settings"]
    keys = [chart.key for chart in charts_of({"": read_run(folder)})]
    assert {"generator", "discriminator", "lr", "images_per_second"} <= set(keys)
    assert "--generator" in page.text["settings"].split("pix2pix options")[0]
