from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.report import write_comparison
from i2i.report.comparison import distinct_names
from support.report import CONFIG, HOSTILE, LINES, SCORES, SUMMARY, comparison_of, make_run

CYCLEGAN = CONFIG | {"method": "cyclegan", "paths": ["data/zebras"], "options": {"cycle_weight": 10.0}}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A longer run of another method."""
    lines = [{"step": step, "lr": 1e-4, "generator/cycle_a": 1.0, "generator/adversarial": 0.5} for step in (50, 900)]
    return make_run(tmp_path / "zebras", lines=lines, grids=(0, 900), config=CYCLEGAN, summary={"state": "finished"})


def test_the_page_is_one_file(full, other):
    page = comparison_of(full, other)
    urls = [a.get("src") or a.get("href") for a in page.of("img") + page.of("script") + page.of("link") + page.of("a")]
    assert all(url.startswith("data:") for url in urls if url)
    assert "http:" not in page.source.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page.source


def test_each_term_has_a_chart_with_a_curve_for_each_run(full, other):
    page = comparison_of(full, other)
    assert page.data["names"] == ["maps", "zebras"]
    charts = {chart["key"]: chart for chart in page.data["charts"]}
    assert {key: list(chart["curves"]) for key, chart in charts.items()} == {
        "validation/l1": ["maps"],
        "validation/psnr": ["maps"],
        "generator/adversarial": ["maps", "zebras"],
        "generator/l1": ["maps"],
        "generator/cycle_a": ["zebras"],
        "discriminator/adversarial": ["maps"],
        "fake_accuracy": ["maps"],
        "lr": ["maps", "zebras"],
        "images_per_second": ["maps"],
    }
    assert charts["generator/cycle_a"]["title"] == "Generator: cycle a"
    assert charts["lr"]["curves"]["zebras"] == [[50, 900], [1e-4, 1e-4]]
    assert {chart["best"] for chart in charts.values()} == {None}


def test_a_run_has_the_same_colour_without_scripts_wherever_it_is_named(full, other):
    source = comparison_of(full, other).source
    assert '<li class="c1">zebras</li>' in source
    assert '<span class="run c1">zebras</span>' in source
    cycle = source[source.index("Generator: cycle a") :]
    assert cycle.index('<li class="c1">zebras <b>') < cycle.index("</article>")


def test_tables_and_grids(full, other):
    page = comparison_of(full, other)
    assert "L1, last 0 to 255, lower is better" in page.text["scores"]
    assert "--cycle-weight" in page.text["settings"]
    assert "--batch-size" not in page.text["settings"]
    assert "300 of 400" in page.text["facts"]
    images = [(image["data-run"], image["data-step"]) for image in page.of("img")]
    assert images == [("0", "300"), ("1", "900"), ("1", "0"), ("0", "100"), ("0", "200")]
    assert page.data["samples"] == [[0], [100], [200], [300], [900]]
    assert "maps had not finished" in page.text["header"]


def test_runs_with_the_same_settings_say_so(full, tmp_path):
    page = comparison_of(full, make_run(tmp_path / "again"))
    assert "The runs have the same settings." in page.text["settings"]


def test_scores_on_different_data_are_said_not_to_compare(tmp_path):
    runs = [make_run(tmp_path / name, lines=SCORES, config=CONFIG | {"paths": [name]}) for name in "ab"]
    assert "their scores don't compare" in comparison_of(*runs).text["scores"]
    same = [make_run(run, lines=SCORES) for run in runs]
    assert "compare" not in comparison_of(*same).text["scores"]


def test_runs_without_anything_have_a_page(tmp_path):
    page = comparison_of(make_run(tmp_path / "a"), make_run(tmp_path / "b", config=None))
    assert "No metrics yet" in page.text["curves"]
    assert "No sample grid yet" in page.text["samples"]
    assert "scores" not in page.text


def test_ten_runs_have_ten_colours(tmp_path):
    runs = [make_run(tmp_path / str(index), lines=LINES + SCORES, grids=[100, 200]) for index in range(10)]
    page = comparison_of(*runs)
    assert page.data["names"] == [str(index) for index in range(10)]
    assert all(f'<li class="c{index}">{index}</li>' in page.source for index in range(10))
    assert len(page.of("img")) == 20


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["one/a", "two/a", "two/b"], ["one/a", "two/a", "b"]),
        (["one/x/a", "two/x/a", "two/y/a"], ["one/x/a", "two/x/a", "y/a"]),
        (["/a", "/x/a"], ["/a", "x/a"]),
        (["/x/a/", "/x/y/../b"], ["a", "b"]),
    ],
)
def test_names_are_the_shortest_ends_of_paths_that_differ(folders, names):
    assert distinct_names([Path(folder) for folder in folders]) == [str(Path(name)) for name in names]


def test_hostile_strings_stay_text(tmp_path):
    name = HOSTILE.replace("/", "\N{FRACTION SLASH}")
    config = {"method": HOSTILE, "paths": [HOSTILE], "options": {HOSTILE: HOSTILE}, "train": {"generator": HOSTILE}}
    summary = dict.fromkeys(("layout", "device"), HOSTILE) | {"domains": [HOSTILE] * 2, "maps": {HOSTILE: HOSTILE}}
    lines = [{"step": 1, f"generator/{HOSTILE}": 1.0, f"{HOSTILE}/l1": 1.0, f"validation/{HOSTILE}": 2.0}]
    hostile = make_run(tmp_path / name, config=config, summary=summary, lines=lines, grids=[1])
    page = comparison_of(hostile, make_run(tmp_path / "plain"))
    assert len(page.of("script")) == 2
    assert len(page.of("img")) == 1
    assert not any(attribute.startswith("on") for _, attributes in page.elements for attribute in attributes)
    for part in ("settings", "facts", "curves", "scores"):
        assert HOSTILE in page.text[part], part
    assert name in page.text["runs"]
    assert page.data["names"] == [name, "plain"]


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [1, "x"], True, -1.5, {"a": 1}])
def test_settings_and_summaries_of_any_type_are_tolerated(tmp_path, value):
    config, summary = (dict.fromkeys(keys, value) for keys in (CONFIG, SUMMARY))
    odd = make_run(tmp_path / "odd", config=config, summary=summary, lines=LINES + SCORES)
    nested = {key: dict.fromkeys(inner, value) if isinstance(inner, dict) else inner for key, inner in CONFIG.items()}
    comparison_of(odd, make_run(tmp_path / "nested", config=nested, summary={"parameters": {"a2b": value}}))


def test_a_failed_write_leaves_the_earlier_page(full, other, tmp_path, monkeypatch):
    output = tmp_path / "pages" / "comparison.html"
    write_comparison([full, other], output)
    before = output.read_bytes()
    make_run(other, lines=LINES, config=CYCLEGAN)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_comparison([full, other], output)
    assert output.read_bytes() == before
    monkeypatch.undo()
    write_comparison([full, other], output)
    assert output.read_bytes() != before


def test_only_a_comparison_is_replaced_unless_asked_for(full, other, tmp_path):
    output = tmp_path / "mine.html"
    output.write_text("<p>mine")
    with pytest.raises(UsageError, match=r"mine\.html exists and is no comparison .* overwrite"):
        write_comparison([full, other], output)
    assert output.read_text() == "<p>mine"
    write_comparison([full, other], output, overwrite=True)
    write_comparison([other, full], output)
    assert "zebras, maps" in output.read_text()


def test_the_comparison_of_trained_runs(run, tmp_path):
    shorter = shutil.copytree(run, tmp_path / "shorter")
    lines = (shorter / "metrics.jsonl").read_text().splitlines(keepends=True)
    (shorter / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 8))
    page = comparison_of(shorter, run)
    assert page.data["names"] == ["shorter", "boxes"]
    curves = next(chart["curves"] for chart in page.data["charts"] if chart["key"] == "generator/l1")
    assert {name: steps for name, (steps, _) in curves.items()} == {"shorter": [4, 8], "boxes": [4, 8, 12]}
    assert "Generatora2bunet:" in "".join(page.text["facts"].split())
    assert [step for (step,) in page.data["samples"]] == [0, 6, 12]
    assert len(page.of("img")) == 6
