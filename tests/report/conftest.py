from __future__ import annotations

from pathlib import Path

import pytest

from support.report import LINES, SCORES, SUMMARY, make_run


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A run at step 300 of 400 with everything that a report can show."""
    warning = [{"step": 200, "warning": "blurry outputs", "advice": "try --l1-weight 10"}]
    return make_run(tmp_path / "maps", lines=LINES + SCORES + warning, grids=(100, 200, 300), summary=SUMMARY)
