from __future__ import annotations

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from i2i.report import grids
from i2i.report.grids import embedded_grids, nearest, spread
from i2i.report.run_folder import read_run
from support.report import make_run


def embedded(*folders):
    return embedded_grids([read_run(folder) for folder in folders])


def image_of(grid):
    kind, data = grid.url.removeprefix("data:image/").split(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format == kind.upper()
    assert image.size == grid[3:]
    return image


@pytest.mark.parametrize(("count", "most"), [(3, 3), (20, 20), (21, 20), (1000, 20), (7, 3)])
def test_steps_are_spread_evenly_from_the_first_to_the_last(count, most):
    steps = list(range(0, 10 * count, 10))
    chosen = spread(steps, most=most)
    assert (chosen[0], chosen[-1], len(chosen)) == (steps[0], steps[-1], min(count, most))
    gaps = {b - a for a, b in itertools.pairwise(chosen)}
    assert max(gaps) - min(gaps) <= 10


def test_nearest_is_the_earlier_of_two():
    assert [nearest(step, [0, 10, 30]) for step in (-5, 5, 6, 20, 21, 99)] == [0, 0, 10, 10, 30, 30]


def test_runs_of_other_lengths_show_their_nearest_grids(tmp_path):
    long = make_run(tmp_path / "long", grids=(0, 100, 200, 300))
    short = make_run(tmp_path / "short", grids=(0, 90))
    empty = make_run(tmp_path / "empty")
    steps, by_step, last = embedded(long, short, empty)
    assert steps == [0, 90, 100, 200, 300]
    assert {step: [(grid.run, grid.step) for grid in row] for step, row in by_step.items()} == {
        0: [(0, 0), (1, 0)],
        100: [(0, 100)],
        200: [(0, 200)],
    }
    assert [grid and (grid.run, grid.step) for grid in last] == [(0, 300), (1, 90), None]


def test_a_small_png_is_embedded_as_it_is(tmp_path):
    run = make_run(tmp_path, grids=[5])
    (grid,) = embedded(run).last
    assert base64.b64decode(grid.url.partition(",")[2]) == (run / "samples" / "000005.png").read_bytes()
    assert image_of(grid).size == (60, 40)


def test_a_large_noisy_grid_is_scaled_down_and_close_to_the_original(tmp_path):
    run = make_run(tmp_path, grids=[5])
    levels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8).repeat(50, 0).repeat(50, 1)
    Image.fromarray(levels).save(run / "samples" / "000005.png")
    image = image_of(embedded(run).last[0])
    assert 0.99e6 < image.width * image.height <= 1e6
    seen = np.asarray(image.resize((50, 30), Image.Resampling.BOX)).astype(int)
    assert np.abs(seen - levels[25::50, 25::50]).mean() < 12


def test_a_page_of_large_grids_has_fewer_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "_ALL_PIXELS", 5 * 2 * 60 * 40)
    runs = [make_run(tmp_path / name, grids=range(0, 1000, 10)) for name in "ab"]
    assert embedded(*runs).steps == [0, 250, 500, 740, 990]


def test_damaged_grids_are_left_out(tmp_path):
    run = make_run(tmp_path, grids=[1, 2, 3, 4])
    whole = (run / "samples" / "000001.png").read_bytes()
    (run / "samples" / "000002.png").write_bytes(b"torn")
    (run / "samples" / "000003.png").write_bytes(whole[:60])
    huge = whole[:16] + (1 << 30).to_bytes(4, "big") * 2 + whole[24:]
    (run / "samples" / "000004.png").write_bytes(huge)
    found = embedded(run)
    assert (found.by_step, found.last[0].step) == ({}, 1)
