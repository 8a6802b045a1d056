"""A run that is killed at any moment resumes as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from i2i.cli import main
from i2i.model_file import load_model
from i2i.training.checkpoint import load_state
from support.forked import Process, Server
from support.runs import SMALL, assert_equal_states, states_equal
from support.shards import write_tar

PROC = Path("/proc/self/task").exists()  # as Linux has it
STEPS = 12
OFTEN = ["--steps", str(STEPS), "--log-every", "1", "--sample-every", "6", "--samples", "1", "--device", "cpu"]
# All that a state holds beside weights: both optimizers, a mean of weights, running statistics, histories, the best
# score and random numbers, which dropout and the histories draw; images come from a worker.
RUNS = {
    "pix2pix": ("pairs", ["--augment", "flip", "affine", "colour", "--batch-size", "2", "--validate-every", "4"]),
    "cyclegan": ("unpaired", ["--augment", "flip", "colour", "--pool-size", "4", "--historical-averaging", "0.1"]),
}


def words(method: str, data: Path, folder: Path, *more: str) -> list[str]:
    given = ["train", method, str(data), "--run", str(folder), *SMALL, *OFTEN, "--ema-decay", "0.9", "--workers", "1"]
    return [*given, *RUNS[method][1], *more]


def killed(forks: Server, given: list[str], when: Callable[[Process], bool], *, workers: str = "fork") -> list[int]:
    """Start a run, kill it when it has come so far, and give the processes that it had started."""
    process = forks.start(given, workers=workers)
    deadline = time.monotonic() + 60
    while not when(process):
        assert process.poll() is None, process.wait()
        assert time.monotonic() < deadline
    begun = descendants(process.pid)
    process.kill()
    assert process.wait().code == -signal.SIGKILL
    return begun


def reached(folder: Path, step: int) -> Callable[..., bool]:
    """Whether a run has come to a step of its metrics, and somewhat further."""
    metrics = folder / "metrics.jsonl"

    def look(_: Any = None) -> bool:
        time.sleep(0.002)
        if not metrics.exists() or f'"step": {step},' not in metrics.read_text():
            return False
        time.sleep(random.uniform(0, 0.02))
        return True

    return look


def losses(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


@pytest.fixture(scope="module")
def whole(pairs: Path, unpaired: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each method that nothing interrupts."""
    found, data = {}, {"pairs": pairs, "unpaired": unpaired}
    for method, (kind, _) in RUNS.items():
        found[method] = tmp_path_factory.mktemp("whole") / method
        assert main(words(method, data[kind], found[method], "--save-every", "1000")) == 0
    return found


@pytest.mark.parametrize("method", RUNS)
def test_resume_is_bit_equal_after_two_kills(
    method: str, whole: dict[str, Path], forks: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = words(method, request.getfixturevalue(RUNS[method][0]), tmp_path, "--save-every", "3")
    stood, saved, begun = [], [], []
    for span in ((4, 5), (7, 8)):
        more = ["--resume"] if stood else []
        begun += killed(forks, [*given, *more], reached(tmp_path, random.randint(*span)))
        stood.append(losses(tmp_path)[-1]["step"])
        saved.append(load_state(tmp_path / "state.pt")["step"])
        assert 3 <= saved[-1] <= stood[-1] < STEPS
    assert main([*given, "--resume"]) == 0
    one, other = (load_state(folder / "state.pt") for folder in (whole[method], tmp_path))
    assert one["step"] == STEPS
    for part in ("optimizers", "ema", "random"):
        assert one[part]
    tensors = assert_equal_states(one, other)
    models = [load_file(folder / "model.safetensors") for folder in (whole[method], tmp_path)]
    weights = assert_equal_states(*models)
    print(
        f"{method}: killed at steps {stood} of {STEPS}, where those saved were {saved}; "
        f"then {tensors} tensors of the state and {weights} of the model equal bit for bit"
    )
    # No line of its metrics is missing or stands twice.
    assert losses(tmp_path) == losses(whole[method])
    assert len(begun) >= 2 or not PROC
    wait_for_end_of(begun)
    if method == "pix2pix":
        assert one["best"]
        assert_equal_states(*(load_file(folder / "best.safetensors") for folder in (whole[method], tmp_path)))


def test_a_run_on_shards_is_that_on_the_folder_also_after_a_kill(
    whole: dict[str, Path], pairs: Path, forks: Server, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        files = [(path.name, path.read_bytes()) for path in sorted((pairs / split).iterdir())]
        for start in range(0, len(files), 2):
            write_tar(tmp_path / "shards" / f"{split}-{start:06d}.tar", dict(files[start : start + 2]))
    run = tmp_path / "run"
    # Remote ones, as fsspec reads them.
    data = f"file://{tmp_path}/shards/*.tar"
    given = [*words("pix2pix", Path(), run, "--save-every", "3"), "--shard-cache", str(tmp_path / "cache")]
    given[2] = data
    killed(forks, given, reached(run, 5))
    assert 3 <= load_state(run / "state.pt")["step"] < STEPS
    shutil.rmtree(tmp_path / "cache")
    assert main([*given, "--resume"]) == 0
    states_equal(whole["pix2pix"], run)
    assert_equal_states(*(load_file(folder / "model.safetensors") for folder in (whole["pix2pix"], run)))


def test_a_run_killed_while_it_saves_has_a_complete_checkpoint(
    whole: dict[str, Path], pairs: Path, forks: Server, tmp_path: Path
) -> None:
    given = words("pix2pix", pairs, tmp_path, "--save-every", "1", "--workers", "0")
    samples = tmp_path / "samples"
    samples.mkdir()
    torn, steps = 0, []

    def writing(count: int) -> Callable[..., bool]:
        """Whether another state is being written, after so many."""
        seen: set[Path] = set()

        def look(_: Any) -> bool:
            time.sleep(0.0005)
            seen.update(tmp_path.glob(".i2i-*.pt"))
            return len(seen) > count and (tmp_path / "state.pt").exists()

        return look

    for count in (1, 3, 2):
        killed(forks, [*given, *(["--resume"] if steps else [])], writing(count))
        torn += any(tmp_path.glob(".i2i-*"))
        steps.append(load_state(tmp_path / "state.pt")["step"])
        assert steps[-1] <= load_model(tmp_path / "model.safetensors").step <= steps[-1] + 1
        for left in tmp_path.glob(".i2i-*"):  # or else it would count as one of the next run's
            left.rename(samples / left.name)
    print(f"killed {len(steps)} times while saving, {torn} of them with a file torn: states of steps {steps}")
    assert torn
    assert steps == sorted(steps)
    assert main([*given, "--resume"]) == 0
    assert not any(tmp_path.rglob(".i2i-*"))
    assert_equal_states(*(load_state(folder / "state.pt") for folder in (whole["pix2pix"], tmp_path)))


@pytest.mark.parametrize(
    "tear",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:200] + b"\0" * (len(data) - 200),
        lambda data: b"",
    ],
    ids=["half", "zeros", "empty"],
)
def test_a_torn_checkpoint_is_refused_with_what_to_do(
    tear: Callable[[bytes], bytes], run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    (tmp_path / "state.pt").write_bytes(torn := tear((run / "state.pt").read_bytes()))
    assert main(["train", "pix2pix", str(pairs), "--run", str(tmp_path), "--resume", "--steps", "20"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"i2i: {tmp_path}/state.pt can't be read as a checkpoint: ")
    assert "put back a copy of it, or train again with another --run" in said
    assert said.count("\n") == 1
    assert (tmp_path / "state.pt").read_bytes() == torn


def test_a_missing_checkpoint_is_refused_with_what_to_do(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    assert main(["train", "pix2pix", str(pairs), "--run", str(tmp_path), "--resume", "--steps", "20"]) == 2
    said = capsys.readouterr().err
    assert "there is no checkpoint to resume from; leave out --resume to start a run" in said
    assert "copy" not in said


def wait_for_end_of(pids: list[int]) -> None:
    """Wait for the end of workers, which look every second whether their run is alive."""
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def descendants(pid: int) -> list[int]:
    if not PROC:
        return []
    own = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return own + [further for child in own for further in descendants(child)]


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(not PROC, reason="needs Linux's /proc")
def test_the_workers_of_a_forkserver_end_too(pairs: Path, forks: Server, tmp_path: Path) -> None:
    # This is how Python 3.14 starts workers; those of a run that forks them end in the tests of kills.
    given = words("pix2pix", pairs, tmp_path, "--steps", "100000")
    begun = killed(forks, given, reached(tmp_path, 1), workers="forkserver")
    assert len(begun) >= 3  # the server, its worker, and a tracker of shared memory
    wait_for_end_of(begun)
