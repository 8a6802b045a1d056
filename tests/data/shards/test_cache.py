"""Remote shards, and their local copies."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from i2i.data import ImageDataset, find_layout, load
from i2i.data.shards import ShardCache
from i2i.data.shards import cache as cache_module
from i2i.data.shards.images import GROUP, INDEX_SUFFIX, Shard, beside
from i2i.data.shards.index import scan
from i2i.errors import ImageError, UsageError
from support.datasets import assert_equal
from support.shards import Served, pair_shards, served

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
SHARD = 10240  # bytes of a tar file of up to 4 small pairs


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "web") as found:
        yield found


def dataset_of(url: str, cache: ShardCache) -> ImageDataset:
    layout = find_layout([url], data="paired", cache=cache)
    return ImageDataset(layout.train, paired=True, image_size=8, load_size=8, seed=1)


def test_shards_of_a_web_server_are_those_of_a_folder(tmp_path: Path, web: Served) -> None:
    pair_shards(tmp_path / "web", [3, 2])
    cache = ShardCache(tmp_path / "cache")
    remote = dataset_of(f"{web.url}/train-{{000000..000001}}.tar?token=1", cache)
    local = dataset_of(str(tmp_path / "web"), cache)
    for position in range(10):
        assert_equal(remote[position], local[position])
    assert "token" not in remote.split.a.where  # type: ignore[attr-defined]
    dataset_of(f"{web.url}/train-{{000000..000001}}.tar?token=1", cache)[0]
    assert "train-000000.tar.index.json?token=1" in beside(f"{web.url}/train-000000.tar?token=1")
    assert sum(count for name, count in web.files.items() if ".index" not in name) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_each_shard_is_fetched_once_per_epoch_where_the_cache_is_smaller_than_the_data(
    tmp_path: Path, web: Served, workers: int
) -> None:
    paths = pair_shards(tmp_path / "web", [12] * 20)  # half a group is more than what the workers load ahead
    for path in paths:
        path.with_name(path.name + INDEX_SUFFIX).write_bytes(scan(path).to_json(shard_size=path.stat().st_size))
    room = 2 * GROUP * paths[0].stat().st_size
    dataset = dataset_of(f"{web.url}/train-{{000000..000019}}.tar", ShardCache(tmp_path / "cache", room))
    assert not any(name.endswith(".tar") for name in web.files)  # the indices beside them are enough
    for _ in load(dataset, batch_size=4, start=0, steps=60, workers=workers):
        pass
    fetched = {name: count for name, count in web.files.items() if name.endswith(".tar")}
    assert len(fetched) == 20
    assert sum(fetched.values()) <= 22  # where a process waits for long, another may have removed what it needs next
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.tar")) <= room


def test_the_copies_used_least_recently_are_removed(tmp_path: Path) -> None:
    pair_shards(tmp_path / "web", [1] * 4)
    cache = ShardCache(tmp_path / "cache", 2 * SHARD)
    shards = [Shard.at(f"file://{tmp_path}/web/train-{number:06d}.tar", cache) for number in range(4)]
    for number in (0, 1, 0, 2):
        shards[number].read(0, 10)
    kept = {shard.url for shard in shards if cache.path(shard.url, shard.version, ".tar").exists()}
    assert kept == {shards[0].url, shards[2].url}
    assert shards[1].read(0, 10) == shards[1].read(0, 10)


def test_a_cache_that_holds_too_few_shards_is_refused_before_training(tmp_path: Path) -> None:
    pair_shards(tmp_path / "web", [1] * 20)
    url = f"file://{tmp_path}/web/train-{{000000..000019}}.tar"
    with pytest.raises(UsageError, match=r"shard_cache_gb=1e-05 is too little.* use shard_cache_gb=0\.1 or more"):
        find_layout([url], data="paired", cache=ShardCache(tmp_path / "cache", 10**4))
    find_layout([url], data="paired", cache=ShardCache(tmp_path / "cache", 2 * GROUP * SHARD))


def test_a_glob_and_a_folder_of_a_storage_are_listed_with_those_held_out(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    for path in (*pair_shards(tmp_path, [2, 1]), *pair_shards(tmp_path, [1], split="val")):
        system.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    try:
        for url in ("memory://bucket/train-*.tar", "memory://bucket/", "memory://bucket"):
            layout = find_layout([url], data="paired", cache=ShardCache(tmp_path / "cache"))
            assert len(layout.train.a) == 3
            assert layout.validation
            assert len(layout.validation.a) == 1
        with pytest.raises(UsageError, match="no shards"):
            find_layout(["memory://bucket/none-*.tar"], data="paired")
    finally:
        system.rm("/bucket", recursive=True)


def fetch(cache: ShardCache, url: str) -> None:
    Shard.at(url, cache).read(0, 10)


def test_processes_that_need_the_same_shard_fetch_it_once(tmp_path: Path, web: Served) -> None:
    pair_shards(tmp_path / "web", [40])
    cache, url = ShardCache(tmp_path / "cache"), f"{web.url}/train-000000.tar"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=fetch, args=(cache, url)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert web.files["train-000000.tar"] == 1


def test_a_download_is_tried_again(tmp_path: Path, web: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_WAIT", 0.01)
    pair_shards(tmp_path / "web", [1])
    shard = Shard.at(f"{web.url}/train-000000.tar", ShardCache(tmp_path / "cache"))
    web.failing["train-000000.tar"] = 2
    assert len(shard.read(0, 10)) == 10
    (tmp_path / "cache").rename(tmp_path / "old")
    web.failing["train-000000.tar"] = 3
    with pytest.raises(ImageError, match=r"train-000000\.tar: can't be fetched: .*503"):
        shard.read(0, 10)
    assert not list((tmp_path / "cache").glob("*.tar"))


def test_a_shard_that_vanished_is_named(tmp_path: Path, web: Served) -> None:
    pair_shards(tmp_path / "web", [1])
    shard = Shard.at(f"{web.url}/train-000000.tar", ShardCache(tmp_path / "cache"))
    shutil.rmtree(tmp_path / "web")
    (tmp_path / "web").mkdir()
    with pytest.raises(ImageError, match=r"train-000000\.tar: can't be fetched"):
        shard.read(0, 10)
    with pytest.raises(UsageError, match=r"train-000000\.tar: there is no such shard"):
        find_layout([shard.url], data="paired", cache=shard.cache)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://x/0.tar", "nonsense"),
        ("sftp://x/0.tar", "paramiko"),
        ("http://127.0.0.1:9/0.tar", "can't be read|no such shard"),
    ],
)
def test_urls_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        find_layout([url], data="paired", cache=ShardCache(tmp_path / "cache"))
    assert "\n" not in str(refused.value)
