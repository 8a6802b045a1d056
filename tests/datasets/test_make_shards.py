from __future__ import annotations

import gc
import importlib
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from i2i.cli import main
from i2i.data import ImageDataset, find_layout
from i2i.data.shards import ShardCache
from i2i.data.shards.index import Index, scan
from support.datasets import assert_equal
from support.folders import put
from support.runs import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(ROOT / "datasets")
    return importlib.import_module("make_shards")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.tar"))


@pytest.mark.parametrize("kind", ["pairs", "unpaired"])
def test_sorted_shards_hold_the_samples_of_the_folder(
    script: ModuleType, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(kind)
    script.main([str(data), str(tmp_path / "shards"), "--samples-per-shard", "2", "--sorted"])
    matched = "paired" if kind == "pairs" else "unpaired"
    layouts = [find_layout([folder], data=matched) for folder in (data, tmp_path / "shards")]  # type: ignore[arg-type]
    for split in ("train", "validation"):
        folder, shards = (
            ImageDataset(getattr(layout, split), paired=kind == "pairs", image_size=16, load_size=20)
            for layout in layouts
        )
        assert len(folder) == len(shards)
        for position in range(8):
            assert_equal(folder[position], shards[position])


def test_pairs_in_two_folders_share_a_shard_and_the_index_beside_it_fits(script: ModuleType, tmp_path: Path) -> None:
    put(tmp_path / "data", *(f"{side}/{name}.png" for side in "AB" for name in ("one", "two.x", "sub/three")))
    script.main([str(tmp_path / "data"), str(tmp_path / "shards"), "--samples-per-shard", "2"])
    assert names(tmp_path / "shards") == ["train-000000.tar", "train-000001.tar"]
    assert scan(tmp_path / "shards/train-000001.tar").names == ["000000002.a.png", "000000002.b.png"]
    for path in (tmp_path / "shards").glob("*.tar"):
        kept, found = (
            Index.from_json((path.parent / f"{path.name}.index.json").read_bytes(), shard_size=path.stat().st_size),
            scan(path),
        )
        assert kept.names == found.names
        assert np.array_equal(kept.offsets, found.offsets)
    assert len(find_layout([tmp_path / "shards"], data="paired").train.a) == 3


def test_samples_are_shuffled_alike_each_time(script: ModuleType, tmp_path: Path) -> None:
    put(tmp_path / "data", *(f"{number}.png" for number in range(20)), size=(4, 4))
    for name in ("one", "two"):
        script.main([str(tmp_path / "data"), str(tmp_path / name)])
    one, two = ((tmp_path / name / "train-000000.tar").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # its files
def test_webdataset_reads_the_shards_and_i2i_reads_those_of_webdataset(
    script: ModuleType, tmp_path: Path, pairs: Path
) -> None:
    webdataset = pytest.importorskip("webdataset")
    script.main([str(pairs), str(tmp_path / "shards"), "--sorted"])
    stream = webdataset.WebDataset(str(tmp_path / "shards/train-000000.tar"), shardshuffle=False)
    samples = [sample["png"] for sample in stream]
    del stream
    gc.collect()
    files = sorted((pairs / "train").iterdir())
    assert samples == [file.read_bytes() for file in files]
    with webdataset.TarWriter(str(tmp_path / "theirs.tar")) as writer:
        for number, file in enumerate(files):
            writer.write({"__key__": f"{number:06d}", "a.png": file.read_bytes(), "b.png": file.read_bytes()})
    layout = find_layout([tmp_path / "theirs.tar"], data="paired", cache=ShardCache(tmp_path / "cache"))
    assert len(layout.train.a) == len(files)


def test_shards_train_and_are_scored(
    script: ModuleType, tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main([str(pairs), str(tmp_path / "shards"), "--samples-per-shard", "2"])
    monkeypatch.chdir(tmp_path)
    words = ["train", "pix2pix", "shards/train-{000000..000002}.tar", "--steps", "2", "--workers", "0"]
    assert main([*words, *SMALL, "--device", "cpu"]) == 0
    assert "held out: 3 pairs" in capsys.readouterr().out
    assert main(["train", "pix2pix", "--run", "runs/pix2pix-shards", "--resume", "--steps", "3"]) == 0
    assert "have changed" not in capsys.readouterr().err
    assert main(["evaluate", "runs/pix2pix-shards", "shards", "--json", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text())["n"] == 3
    shutil.rmtree("shards")
    script.main([str(pairs / "val"), "shards"])
    assert main(["train", "pix2pix", "shards", "--run", "runs/pix2pix-shards", "--resume", "--steps", "4"]) == 0
    assert "the training images have changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing", "out"], "there is no such folder"),
        (["data", "out", "--samples-per-shard", "0"], "expected 1 or more"),
        (["data", "full"], "expected an empty folder"),
        (["bad", "out"], "have no partner of the same name"),
    ],
)
def test_what_cannot_become_shards_is_refused(
    script: ModuleType,
    tmp_path: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "data/1.png", "data/2.png", "full/1.png")
    put(tmp_path / "bad", "A/1.png", "A/2.png", "A/3.png", "B/1.png", "B/2.png")
    with pytest.raises(SystemExit):
        script.main(words)
    assert message in capsys.readouterr().err
