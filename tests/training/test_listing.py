"""What a checkpoint keeps of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.data import find_layout
from i2i.training import integrity, listing
from i2i.training.listing import _checksum, changed_files, describe_data
from support.shards import pair_shards, png, write_tar


def test_more_files_than_a_checkpoint_may_hold_values_have_a_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "_MOST_VALUES", 1000)
    monkeypatch.setattr(listing, "_PART", 500)
    values = list(range(1501))
    assert _checksum(values) != _checksum(values[:-1])
    assert _checksum(values[:500]) == integrity.state_checksum(values[:500])


def test_shards_may_move_but_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def described(folder: str) -> dict[str, object]:
        return describe_data(find_layout([tmp_path / folder], data="paired"), [folder])

    pair_shards(tmp_path / "one", [2, 2])
    pair_shards(tmp_path / "moved", [2, 2])
    pair_shards(tmp_path / "more", [2, 3])
    write_tar(tmp_path / "renamed/train-000000.tar", {"x.a.png": png(0), "x.b.png": png(255)})
    one = described("one")
    assert changed_files(one, described("moved")) == []
    (warning,) = changed_files(one, described("more"))
    assert "8 then, 10 now" in warning.warning
    assert changed_files(one, described("renamed"))
