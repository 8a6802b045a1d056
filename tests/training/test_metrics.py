"""The lines of metrics.jsonl."""

import json

import pytest

from i2i.training.metrics import Metrics


def test_lines_are_added_and_read_again(tmp_path):
    metrics = Metrics(tmp_path / "run" / "metrics.jsonl", step=0)
    assert metrics.read() == []
    metrics.write({"step": 1, "loss": 0.5})
    metrics.write({"step": 2, "note": "naïve\nline"})
    assert metrics.read() == [{"step": 1, "loss": 0.5}, {"step": 2, "note": "naïve\nline"}]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2, 2.5]), (9, [1, 2, 2.5, 4])])
def test_lines_past_the_step_are_dropped_when_a_run_resumes(tmp_path, step, kept):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": line, "loss": line / 3}) + "\n" for line in (1, 2, 2.5, 4)))
    metrics = Metrics(path, step=step)
    assert metrics.read() == [{"step": line, "loss": line / 3} for line in kept]
    metrics.write({"step": step + 1})
    assert [line["step"] for line in metrics.read()] == [*kept, step + 1]


@pytest.mark.parametrize("torn", ['{"step": 3, "los', "{", '{"step": 3, "loss": 1.5', '"'])
def test_a_torn_last_line_is_left_out_and_written_over(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n' + torn)
    metrics = Metrics(path, step=5)
    assert metrics.read() == [{"step": 1}, {"step": 2}]
    metrics.write({"step": 6})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 6}\n'


def test_a_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    metrics = Metrics(path, step=2)
    metrics.write({"step": 3})
    assert metrics.read() == [{"step": 1}, {"step": 2}, {"step": 3}]
