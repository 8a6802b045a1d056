"""Ranks under torchrun are one run, which resumes with any world size; see also methods/test_two_ranks.py."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch.distributed import run
from torch.distributed.launcher.api import elastic_launch

from i2i.cli import main
from i2i.distributed import (
    all_gather,
    all_reduce_max,
    all_reduce_mean,
    all_reduce_sum,
    launcher,
    local_shard,
    process_group,
)
from i2i.errors import UsageError
from i2i.model_file import load_model
from i2i.training.checkpoint import load_state
from support.forked import Server, command
from support.runs import SMALL, wait_for_step

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")

# Batch norm, a mean of weights and momentum; without dropout, of which processes draw other masks than one does.
WORDS = [*SMALL, "--generator", "unet:depth=4,width=4,dropout=0", "--batch-size", "4", "--device", "cpu"]
WORDS += ["--optimizer", "sgd", "--lr", "0.002", "--schedule", "constant", "--ema-decay", "0.9"]
OFTEN = ["--log-every", "1", "--sample-every", "3", "--samples", "1", "--save-every", "3", "--validate-every", "3"]


def words(data: Path, folder: Path, *more: str) -> list[str]:
    return ["train", "pix2pix", str(data), "--run", str(folder), *WORDS, *OFTEN, *more]


def apart(one: Path, other: Path) -> float:
    """The largest difference of two runs' weights and running statistics."""
    first, second = (load_state(folder / "state.pt") for folder in (one, other))
    assert first["step"] == second["step"]
    pairs = [(first[part][name], second[part][name]) for part in ("method", "ema") for name in first[part]]
    return max((a.double() - b.double()).abs().max().item() for a, b in pairs if a.numel())


class Handed(NamedTuple):
    """A run that one process began, two went on with, and one ended; what the two said; and runs of one alone."""

    folder: Path
    by_two: Path
    printed: str
    one: Path
    other_seed: Path


@pytest.fixture(scope="module")
def handed(pairs: Path, forks: Server, tmp_path_factory: pytest.TempPathFactory) -> Handed:
    root = tmp_path_factory.mktemp("handed")
    assert main(words(pairs, root / "run", "--steps", "2")) == 0
    ranks = forks.start_ranks(command, "fork", words(pairs, root / "run", "--resume", "--steps", "4"))
    ended = [rank.wait() for rank in ranks]
    assert [one.code for one in ended] == [0, 0], ended
    shutil.copytree(root / "run", root / "by two")
    assert main(words(pairs, root / "run", "--resume", "--steps", "6")) == 0
    assert main(words(pairs, root / "one", "--steps", "6")) == 0
    assert main(words(pairs, root / "seed", "--steps", "6", "--seed", "1")) == 0
    return Handed(root / "run", root / "by two", "".join(one.stdout for one in ended), root / "one", root / "seed")


def test_a_run_resumes_with_another_world_size(handed: Handed) -> None:
    differ, elsewhere = apart(handed.folder, handed.one), apart(handed.other_seed, handed.one)
    print(f"one process, two, one: {differ:.1e} from one alone; another seed: {elsewhere:.1e}")
    assert differ < 1e-5
    assert elsewhere > 1e-2
    assert load_state(handed.by_two / "state.pt")["step"] == 4


def test_metrics_of_two_ranks_are_those_of_one(handed: Handed) -> None:
    lines, alone = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (handed.folder, handed.one)
    )
    assert json.loads((handed.by_two / "summary.json").read_text())["processes"] == 2
    # A validation at the end of each leg is one more than those of a run that goes through.
    trained, through = ([line for line in found if "lr" in line] for found in (lines, alone))
    assert [line["step"] for line in trained] == [line["step"] for line in through] == list(range(1, 7))
    for line, other in zip(trained, through, strict=True):
        assert line.keys() == other.keys()
        for term in line.keys() - {"images_per_second"}:
            assert line[term] == pytest.approx(other[term], rel=1e-3, abs=1e-4), (line["step"], term)


def test_only_rank_0_writes(handed: Handed) -> None:
    for line in ("on cpu, from step 2", "use it: "):
        assert handed.printed.count(line) == 1, handed.printed
    names = {path.name for path in handed.by_two.iterdir()}
    assert names == {
        *("best.safetensors", "config.json", "metrics.jsonl", "model.safetensors"),
        *("report.html", "samples", "state.pt", "summary.json"),
    }
    assert sorted(path.name for path in (handed.by_two / "samples").iterdir()) == [
        f"{step:06}.png" for step in (0, 2, 3, 4)
    ]
    steps = [line["step"] for line in map(json.loads, (handed.by_two / "metrics.jsonl").read_text().splitlines())]
    assert steps == [1, 2, 2, 3, 3, 4, 4]


def test_the_resume_command_starts_as_many_ranks(handed: Handed) -> None:
    command = json.loads((handed.by_two / "summary.json").read_text())["command"]
    assert command.startswith("torchrun --nproc-per-node 2 -m -- i2i train pix2pix ")
    assert json.loads((handed.one / "summary.json").read_text())["command"].startswith("i2i train pix2pix ")


def torchrun(given: list[str]) -> None:
    """The command of this name, but that its ranks are forks, which need not import PyTorch again."""
    config, python, words = run.config_from_args(run.parse_args(given))
    assert (python, words[:2]) == (sys.executable, ["-u", "-m"])
    config.start_method = "fork"
    elastic_launch(config, module)(words[2:])


def module(given: list[str]) -> None:
    """Run a module as `python -m` does."""
    sys.argv = given
    runpy.run_module(given[0], run_name="__main__", alter_sys=True)


def test_sigterm_of_torchrun_saves_a_checkpoint_and_all_ranks_end(pairs: Path, forks: Server, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    launched = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--nproc-per-node", "2", "-m", "--", "i2i"]
    launched += words(pairs, folder, "--steps", "100000")
    process = forks.run(torchrun, launched, environment={"OMP_NUM_THREADS": "1"})
    wait_for_step(process, folder, 1)
    ranks = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(ranks) == 2
    os.kill(process.pid, signal.SIGTERM)
    code, _, said = process.wait()
    assert code != 0
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]
    state = load_state(folder / "state.pt")
    assert state["step"] >= 1
    assert load_model(folder / "model.safetensors").step == state["step"]
    asked = f"checkpoint saved at step {state['step']}. Resume with: torchrun --nproc-per-node 2 -m -- i2i"
    assert asked in said
    assert said.count("checkpoint saved") == 1
    assert json.loads((folder / "summary.json").read_text())["state"] == "stopped"
    resume = ["train", "pix2pix", str(pairs), "--run", str(folder), "--resume"]
    assert main([*resume, "--steps", str(state["step"] + 1)]) == 0


def test_a_signal_to_one_rank_stops_all_at_the_same_step(pairs: Path, forks: Server, tmp_path: Path) -> None:
    ranks = forks.start_ranks(command, "fork", words(pairs, tmp_path / "run", "--steps", "100000"))
    wait_for_step(ranks[0], tmp_path / "run", 1)
    os.kill(ranks[1].pid, signal.SIGTERM)
    ended = [rank.wait(timeout=60) for rank in ranks]
    assert [one.code for one in ended] == [128 + signal.SIGTERM] * 2, ended
    step = load_state(tmp_path / "run" / "state.pt")["step"]
    said = "".join(one.stderr for one in ended)
    assert said.count(f"checkpoint saved at step {step}. Resume with: torchrun --nproc-per-node 2 -m -- i2i") == 1


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_ends_the_run_and_the_saved_step_is_named(
    killed: int, pairs: Path, forks: Server, tmp_path: Path
) -> None:
    ranks = forks.start_ranks(command, "fork", words(pairs, tmp_path / "run", "--steps", "100000"))
    wait_for_step(ranks[0], tmp_path / "run", 4)
    ranks[killed].kill()
    assert ranks[killed].wait().code == -signal.SIGKILL
    code, _, said = ranks[1 - killed].wait()  # without a launcher that would end it
    assert code == 1
    step = load_state(tmp_path / "run" / "state.pt")["step"]
    assert step >= 3
    assert step % 3 == 0
    ended = f"another rank has ended; the checkpoint of step {step} is saved. Resume with: torchrun --nproc-per-node 2"
    assert ended in said
    resume = ["train", "pix2pix", str(pairs), "--run", str(tmp_path / "run"), "--resume"]
    assert main([*resume, "--steps", str(step + 1)]) == 0


def test_collectives_of_one_rank_change_nothing() -> None:
    x = torch.arange(6.0).view(3, 2)
    assert all_reduce_max(7) == 7
    for told in (all_reduce_mean, all_gather, local_shard):
        assert torch.equal(told(x), x)
    assert launcher() == ["i2i"]
    with process_group("cuda:1") as device:  # not asked here whether there is one
        assert device == "cuda:1"


def test_a_device_that_only_one_rank_could_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UsageError, match="device=cuda:1: each rank under torchrun needs a device of its own; leave out device"
    ):
        process_group("cuda:1").__enter__()
    assert launcher() == ["torchrun", "--nproc-per-node", "2", "-m", "--", "i2i"]


@pytest.mark.skipif(torch.cuda.device_count() > 0, reason="there is a GPU, of which a process may have one")
def test_more_ranks_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="2 or more ranks on a machine with 0 GPUs"):
        process_group("cuda").__enter__()


def test_all_reduce_sum_is_twice_differentiable(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        x = torch.tensor([2.0, 3.0], requires_grad=True)
        (slope,) = torch.autograd.grad(all_reduce_sum(x).pow(3).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x)
        assert slope.tolist() == [12.0, 27.0]
        assert bend.tolist() == [12.0, 18.0]
    finally:
        torch.distributed.destroy_process_group()
