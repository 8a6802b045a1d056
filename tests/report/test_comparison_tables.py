from __future__ import annotations

from i2i.report.comparison_tables import fact_rows, score_rows, setting_rows
from i2i.report.run_folder import read_run
from support.report import CONFIG, LINES, SCORES, SUMMARY, make_run

ABSENT = object()


def values(rows):
    return {row.title: [cell.value if cell else ABSENT for cell in row.cells] for row in rows}


def runs_of(tmp_path, *changes):
    return [read_run(make_run(tmp_path / str(index), **change)) for index, change in enumerate(changes)]


def test_only_settings_that_differ_are_listed(tmp_path):
    other = CONFIG | {"paths": ["data/old maps"], "train": CONFIG["train"] | {"lr": 0.001}}
    runs = runs_of(tmp_path, {}, {"config": other}, {})
    assert values(setting_rows(runs)) == {
        "DATA": [["data/maps"], ["data/old maps"], ["data/maps"]],
        "--lr": [0.0002, 0.001, 0.0002],
    }
    assert setting_rows(runs[::2]) == []


def test_options_of_other_methods_are_missing_and_not_unset(tmp_path):
    options = {"cycle_weight": None, "l1_weight": 100.0}
    runs = runs_of(tmp_path, {}, {"config": CONFIG | {"method": "cyclegan", "options": options}})
    assert values(setting_rows(runs)) == {"METHOD": ["pix2pix", "cyclegan"], "--cycle-weight": [ABSENT, None]}


def test_sections_stay_together_where_runs_have_different_options(tmp_path):
    runs = runs_of(
        tmp_path,
        {"config": CONFIG | {"options": {"one": 1}}},
        {"config": CONFIG | {"options": {"two": 2}, "train": CONFIG["train"] | {"lr": 1.0}}},
    )
    assert list(values(setting_rows(runs))) == ["--one", "--two", "--lr"]


def test_the_best_score_of_a_row_is_marked(tmp_path):
    higher = [line | {"validation/l1": line["validation/l1"] + 1, "validation/psnr": 20.0} for line in SCORES]
    runs = runs_of(tmp_path, {"lines": SCORES}, {"lines": higher}, {"lines": LINES})
    rows = score_rows(runs)
    assert values(rows) == {
        "L1, last": ["28", "29", ABSENT],
        "L1, best": ["25", "26", ABSENT],
        "PSNR, last": ["15", "20", ABSENT],
        "PSNR, best": ["15.5", "20", ABSENT],
        "Held-out images": [50, 50, ABSENT],
    }
    best = {row.title: [bool(cell and cell.is_best) for cell in row.cells] for row in rows}
    assert best == {
        "L1, last": [True, False, False],
        "L1, best": [True, False, False],
        "PSNR, last": [False, True, False],
        "PSNR, best": [False, True, False],
        "Held-out images": [False, False, False],
    }
    assert [cell.note for cell in rows[1].cells[:2]] == ["step 200", "step 200"]


def test_equal_scores_are_all_the_best_and_a_single_score_is_not(tmp_path):
    same = score_rows(runs_of(tmp_path, {"lines": SCORES}, {"lines": SCORES}))[0]
    alone = score_rows(runs_of(tmp_path, {"lines": SCORES}, {"lines": LINES}))[0]
    assert [cell.is_best for cell in same.cells] == [True, True]
    assert not alone.cells[0].is_best


def test_a_score_without_a_known_direction_has_no_best(tmp_path):
    runs = runs_of(tmp_path, *({"lines": [{"step": 1, "validation/sharpness": value}]} for value in (1.0, 2.0)))
    assert not any(cell.is_best for row in score_rows(runs) for cell in row.cells)


def test_facts_of_each_run(tmp_path):
    summary = SUMMARY | {"maps": {"a2b": "resnet", "b2a": "resnet"}, "device": "cuda:0", "steps": None}
    runs = runs_of(
        tmp_path, {"lines": LINES, "summary": SUMMARY}, {"summary": summary, "config": None}, {"config": None}
    )
    facts = values(fact_rows(runs))
    folders = [str(run.folder) for run in runs]
    assert list(facts.pop("Last update"))[2] != ABSENT
    assert facts == {
        "Method": ["pix2pix", "a run", "a run"],
        "State": ["running", "running", ABSENT],
        "Steps": ["300 of 400", "0", "0"],
        "Training time": ["1 min", ABSENT, ABSENT],
        "Images per second": ["10", ABSENT, ABSENT],
        "Generator a2b": ["unet:depth=7,width=64\n13.6 M parameters", "resnet\n13.6 M parameters", ABSENT],
        "Generator b2a": [ABSENT, "resnet", ABSENT],
        "Device": [ABSENT, "cuda:0", ABSENT],
        "Domains": ["map → sat", "map → sat", ABSENT],
        "Layout": ["pairs side by side", "pairs side by side", ABSENT],
        "Training images": ["1,096", "1,096", ABSENT],
        "Held-out images": ["50", "50", ABSENT],
        "Folders": ["data/maps", ABSENT, ABSENT],
        "Run folder": folders,
    }
