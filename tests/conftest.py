"""Small real data sets, and a small trained run that several tests look at."""

from __future__ import annotations

import gc
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# PyTorch is imported where it is needed: the process that hands out tests to workers does without.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.forked import Server
    from support.hub import Hub

os.environ["OMP_NUM_THREADS"] = "1"  # small networks: threads cost more than they give, the more so on a busy machine

TESTS = Path(__file__).parent

# Folders and files that the quick check (`.ci/check`) leaves out: most of them train. Elsewhere, slow tests carry
# `@pytest.mark.slow`.
SLOW = (
    "cli",
    "data/check",
    "data/shards/test_cache.py",
    "data/test_hugging_face.py",
    "datasets",
    "evaluation",
    "hostile",
    "images/test_adapters.py",
    "images/test_channels.py",
    "inference/test_folder.py",
    "inference/test_sampler.py",
    "inference/test_translator.py",
    "inference/tiling",
    "inference/video",
    "losses/test_perceptual.py",
    "methods/test_bicyclegan.py",
    "methods/test_cut.py",
    "methods/test_gan.py",
    "methods/test_methods.py",
    "methods/test_pix2pixhd.py",
    "methods/test_simgan.py",
    "methods/test_two_ranks.py",
    "model_file/test_model_file.py",
    "networks/test_generators.py",
    "networks/test_virtual_batch_norm.py",
    "report/test_browser.py",
    "test_docs.py",
    "test_imports.py",
    "test_notebooks.py",
    "test_plugins.py",
    "test_tracking_page.py",
    "training/test_diagnostics.py",
    "training/test_distributed.py",
    "training/test_ema.py",
    "training/test_hugging_face.py",
    "training/test_lock.py",
    "training/test_player.py",
    "training/test_preflight.py",
    "training/test_python_api.py",
    "training/test_resume.py",
    "training/test_resume_details.py",
    "training/test_tracking.py",
    "training/test_trainer.py",
    "training/test_validation.py",
    "training/trackers",
)
SLOW_PATHS = [(TESTS / path).resolve(strict=True) for path in SLOW]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run `-n auto` with up to four workers of about 1 GB, or in this process where files or tests are named."""
    named = any("::" in word or word.endswith(".py") for word in config.args)
    return 0 if named else min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def is_slow(path: Path) -> bool:
    """Whether a folder or file of tests is left out of the quick check."""
    return any(path.is_relative_to(slow) for slow in SLOW_PATHS)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files unread in the quick check: importing them would take half as long as all its tests."""
    return True if config.option.markexpr == "not slow" and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders and files."""
    slow = {path for path in {item.path for item in items} if is_slow(path)}
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)


SERVER = pytest.StashKey["Server"]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fork the server of other processes before a test computes gradients, where tests ask for it."""
    gc.freeze()  # a full garbage collection takes 0.2 s with the objects of all modules
    if hasattr(os, "fork") and any("forks" in getattr(item, "fixturenames", ()) for item in session.items):
        from support.forked import Server

        importlib.import_module("torch._dynamo")  # 2 s, which the first optimizer of every fork would take
        session.config.stash[SERVER] = server = Server()
        session.config.add_cleanup(server.close)


@pytest.fixture(scope="session")
def forks(pytestconfig: pytest.Config) -> Server:
    """Starts processes that need not import PyTorch again."""
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that are copies of this one")
    return pytestconfig.stash[SERVER]


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Side-by-side pairs: train (6) and val (3)."""
    from PIL import Image

    from support.runs import scene

    root = tmp_path_factory.mktemp("data") / "boxes"
    for split, count in (("train", 6), ("val", 3)):
        (root / split).mkdir(parents=True)
        for number in range(count):
            a, b = scene(number + (100 if split == "val" else 0))
            both = Image.new("RGB", (96, 48))
            both.paste(a, (0, 0))
            both.paste(b, (48, 0))
            both.save(root / split / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def unpaired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trainA (5), trainB (4), testA and testB (2 each)."""
    from support.runs import scene

    root = tmp_path_factory.mktemp("data") / "sides"
    for folder, count in (("trainA", 5), ("trainB", 4), ("testA", 2), ("testB", 2)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            scene(number)[folder.endswith("B")].save(root / folder / f"{folder}{number}.png")
    return root


@pytest.fixture(scope="session")
def run(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of pix2pix from `drawing` to `photo`, 12 steps."""
    from i2i.cli import main
    from support.runs import SMALL

    folder = tmp_path_factory.mktemp("runs") / "boxes"
    often = ["--steps", "12", "--log-every", "4", "--sample-every", "6", "--samples", "2"]
    words = ["train", "pix2pix", str(pairs), "--run", str(folder), "--domains", "drawing", "photo"]
    assert main([*words, *SMALL, *often]) == 0
    return folder


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server on this machine that huggingface_hub takes for the Hub, and an empty cache."""
    from huggingface_hub import constants

    from i2i.pretrained.hub import file_of_uri
    from support.hub import Hub, serving

    cache = tmp_path_factory.mktemp("hub")
    with serving(Hub()) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server speaks HTTP and LFS only
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        file_of_uri.cache_clear()
        yield hub
    file_of_uri.cache_clear()
