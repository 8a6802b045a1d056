"""`i2i report`: the page of one run, and of several."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from i2i.cli import main
from support.commands import refused_in_a_line


@pytest.fixture
def runs(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runs runs/a and runs/b, which is the working directory."""
    for name in ("a", "b"):
        shutil.copytree(run, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_several_runs_are_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert main(["report", "runs/a", "runs/b"]) == 0
    assert capsys.readouterr().out == "report: comparison.html\n"
    text = Path("comparison.html").read_text("utf-8")
    assert "i2i report runs/a runs/b --output comparison.html" in text
    assert {path.name for path in runs.rglob("*") if path.is_file() and path not in before} == {"comparison.html"}
    assert {path: path.read_bytes() for path in before} == before


def test_the_report_of_one_run_is_written_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Path("runs/a/report.html")
    report.write_text("damaged")
    assert main(["report", "runs/a"]) == 0
    assert capsys.readouterr().out == "report: runs/a/report.html\n"
    assert "12 of 12" in " ".join(report.read_text("utf-8").replace("<small>", "").split())
    assert not Path("comparison.html").exists()


def test_a_page_can_be_written_again_and_elsewhere(runs: Path) -> None:
    for _ in range(2):
        assert main(["report", "runs/a", "runs/b", "--output", "pages/both.html"]) == 0
    assert Path("pages/both.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "RUN is missing; give folders of runs: i2i report runs/one runs/other"),
        (["runs"], "runs holds no run: no metrics.jsonl or config.json of one; give runs in it: "
         "i2i report runs/a runs/b"),
        (["runs/a/samples", "runs/b"], "runs/a/samples holds no run: no metrics.jsonl or config.json of one; give "
         "folders that i2i train wrote"),
        (["runs/a", "runs/c"], "runs/c doesn't exist; give folders of runs, such as runs/maps"),
        (["runs/a", "runs/b/report.html"], "runs/b/report.html is a file; give the folder of the run: runs/b"),
        (["runs/a", "runs/b", "page.html"], "page.html doesn't exist; for the name of the page: --output page.html"),
        (["runs/a", "runs/a"], "runs/a is given twice; give each run once"),
        (["runs/a", "runs/b", "./runs/../runs/a"], "runs/../runs/a is given twice, also as runs/a; give each run once"),
        (["runs/a", "--output", "page.html"], "--output is for a page of several runs; that of one is "
         "runs/a/report.html: give more runs, or no --output"),
        (["runs/a", "runs/b", "--output", "runs"], "--output runs is a folder; give a file: "
         "--output runs/comparison.html"),
        (["runs/a", "runs/b", "--output", "runs/a/report.html"], "runs/a/report.html exists and is no comparison of "
         "runs; give another --output, or --overwrite"),
        (["runs/a", "runs/b", "--output", "runs/b/state.pt", "--overwrite"], "--output would overwrite the input "
         "runs/b/state.pt; give another --output"),
    ],
)  # fmt: skip
def test_what_is_refused(words: list[str], said: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert refused_in_a_line(capsys, "report", *words) == said
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
