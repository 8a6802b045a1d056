"""Trackers and the run: resume, plug-ins, failures, and that only rank 0 tracks."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from i2i import Callbacks, build_run
from i2i.cli import main
from i2i.errors import UsageError
from i2i.training import tracking
from i2i.training.trackers import Tracker, trackers
from i2i.training.trainer import Diverged
from support.forked import Server
from support.runs import SMALL, states_equal, wait_for_step
from support.trackers import NOLOAD, WandbRun, logged, offline, tracked, train

PLUGIN = '''
"""A tracker of one's own."""
import json
from pathlib import Path
from i2i.training.trackers import Tracker, trackers

@trackers.register("lines")
class Lines(Tracker):
    """A line for each event."""

    def on_start(self, run):
        self.file = run.folder / "events.jsonl"
        self.write("start", run.step, {"id": run.id, "method": run.settings["method"]})
        return "7"

    def on_log(self, step, values):
        self.write("log", step, sorted(values)[:1])

    def on_sample(self, step, path):
        self.write("sample", step, path.name)

    def on_warning(self, step, diagnosis):
        self.write("warning", step, diagnosis.advice)

    def on_model(self, files):
        self.write("model", None, [path.name for path in files])

    def on_end(self, state):
        self.write("end", None, state)

    def write(self, *event):
        with self.file.open("a") as file:
            file.write(json.dumps(event) + "\\n")
'''


CHECKPOINT = 8  # of a run that is killed


class Recorder(Tracker):
    """Keeps the events that it gets, and fails as often as it is told to, in methods of some names."""

    failures: dict[str, int]
    events: list[tuple[Any, ...]]

    def on_start(self, run: Any) -> str:
        return self._record("start", run.step, run.id) or "1"

    def on_log(self, step: int, values: Any) -> None:
        self._record("log", step)

    def on_sample(self, step: int, path: Path) -> None:
        self._record("sample", step)

    def on_model(self, files: Any) -> None:
        self._record("model", [path.name for path in files])

    def on_end(self, state: str) -> None:
        self._record("end", state)

    def _record(self, *event: Any) -> None:
        if self.failures.get(event[0]):
            self.failures[event[0]] -= 1
            raise ConnectionError("the server is down\nsince today")
        self.events.append(event)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Recorder]]:
    """A tracker of the name `recorder`, whose failed calls are tried again at the next event."""
    monkeypatch.setattr(tracking, "_FIRST_DELAY", 0.0)
    monkeypatch.setattr(trackers, "_builders", dict(trackers._builders))
    Recorder.failures, Recorder.events = {}, []
    trackers.register("recorder")(Recorder)
    return Recorder


def events_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_plug_in_tracks_a_run_and_its_continuation(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "_builders", dict(trackers._builders))
    (tmp_path / "line_tracker.py").write_text(PLUGIN)
    folder = tmp_path / "run"
    small = [*SMALL, "--device", "cpu", "--workers", "0", "--samples", "1", "--log-every", "2"]
    words = [
        "train",
        "pix2pix",
        str(pairs),
        "--run",
        str(folder),
        *small,
        "--import",
        str(tmp_path / "line_tracker.py"),
    ]
    assert main([*words, "--steps", "2", "--lr", "0.5", "--track", "lines"]) == 0
    model = ["model", None, ["model.safetensors", "best.safetensors"]]
    first = [
        *(["log", 2, [name]] for name in ("discriminator/adversarial", "validation/l1")),
        ["sample", 2, "000002.png"],
    ]
    start = [
        ["start", 0, {"id": None, "method": "pix2pix"}],
        ["warning", 0, "--lr 0.0002"],
        ["sample", 0, "000000.png"],
    ]
    found = [event for event in events_of(folder) if event[0] != "warning" or event[1] == 0]
    assert found == [*start, *first, model, ["end", None, "finished"]]
    assert json.loads((folder / "tracking.json").read_text()) == {"lines": "7"}
    assert main([*words, "--steps", "4", "--resume"]) == 0
    again = events_of(folder)[len(found) :]
    assert ["start", 2, {"id": "7", "method": "pix2pix"}] in again
    assert main([*words, "--steps", "6", "--resume", "--track"]) == 0  # no trackers any more
    assert events_of(folder)[-1] == ["end", None, "finished"]
    assert [event[0] for event in events_of(folder)].count("start") == 2


@pytest.mark.parametrize(
    ("failures", "entries", "lost"),
    [
        ({}, 0, []),
        ({"start": 2}, 1, []),
        ({"start": 99}, 2, ["start", "log", "sample", "model", "end"]),
        ({"log": 3}, 1, []),
        ({"log": 99}, 2, ["log"]),
        ({"sample": 99}, 2, ["sample", "model"]),
        ({"end": 1}, 1, ["end"]),
    ],
    ids=str,
)
def test_a_tracker_that_fails_is_warned_of_once_and_gets_what_it_missed(
    failures: dict[str, int], entries: int, lost: list[str], recorder: type[Recorder], pairs: Path, tmp_path: Path
) -> None:
    recorder.failures = dict(failures)
    tracked(pairs, tmp_path / "tracked", "recorder").fit()
    whole = [("start", 0, None), ("log", 2), ("log", 4), ("log", 4), ("end", "finished")]
    whole += [("sample", 0), ("sample", 4), ("model", ["model.safetensors", "best.safetensors"])]
    assert sorted(map(str, recorder.events)) == sorted(str(event) for event in whole if event[0] not in lost)
    tracked(pairs, tmp_path / "plain").fit()
    states_equal(tmp_path / "tracked", tmp_path / "plain")
    lines = [json.loads(line) for line in (tmp_path / "tracked" / "metrics.jsonl").read_text().splitlines()]
    said = [line["warning"] for line in lines if "recorder" in line.get("warning", "")]
    assert len(said) == entries
    assert not said or said[0] == "recorder: the server is down"


def test_a_failing_tracker_is_left_alone_for_a_minute(
    recorder: type[Recorder], pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_FIRST_DELAY", 60.0)
    recorder.failures = {"log": 99}
    tracked(pairs, tmp_path, "recorder", log_every=1, steps=12, validate_every=0).fit()
    assert 99 - recorder.failures["log"] == 2  # the first one, and a last time at the end


class Pruned(Exception):
    """What a callback may raise."""


def test_trackers_and_the_report_get_the_state_in_which_a_run_ends(
    recorder: type[Recorder], pairs: Path, tmp_path: Path
) -> None:
    def prune(step: int, _: Any) -> None:
        raise Pruned(f"at {step}")

    broken = tmp_path / "broken"
    shutil.copytree(pairs, broken)
    endings: dict[str, tuple[Any, Path, dict[str, Any]]] = {
        "stopped": (Pruned, pairs, {}),
        "diverged": (Diverged, pairs, {"lr": 1e30, "steps": 100, "log_every": 1}),
        "failed": (ValueError, broken, {}),
    }
    for state, (error, data, settings) in endings.items():
        one = tracked(data, tmp_path / state, "recorder", **settings)
        if state == "stopped":
            callbacks = Callbacks(on_validation=prune)
            one = build_run(one.run.config, None, tmp_path / state, callbacks=callbacks)
        if state == "failed":
            for file in (broken / "train").iterdir():
                file.write_bytes(b"")
        with pytest.raises(error):
            one.fit()
        assert recorder.events[-1] == ("end", state)
        assert json.loads((tmp_path / state / "summary.json").read_text())["state"] == state
        assert (tmp_path / state / "state.pt").exists()
    assert not [event for event in recorder.events if event[0] == "model"]


def test_an_unknown_tracker_is_refused_before_training(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown experiment tracker 'wandbb'; did you mean 'wandb'"):
        tracked(pairs, tmp_path / "run", "wandbb")
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_older_version_with_tensorboard_resumes(pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    words = [
        "train",
        "pix2pix",
        str(pairs),
        "--run",
        str(tmp_path / "run"),
        *SMALL,
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    assert main([*words, "--steps", "2"]) == 0
    path = tmp_path / "run" / "config.json"
    for older, now in ((False, []), (True, ["tensorboard"])):
        config = json.loads(path.read_text())
        del config["train"]["track"]
        config["train"]["tensorboard"] = older
        path.write_text(json.dumps(config))
        assert main([*words, "--resume", "--steps", "4" if older else "3"]) == 0
        train_settings = json.loads(path.read_text())["train"]
        assert (train_settings["track"], "tensorboard" in train_settings) == (now, False)
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_only_rank_0_tracks(pairs: Path, forks: Server, tmp_path: Path) -> None:
    (tmp_path / "line_tracker.py").write_text(PLUGIN)
    small = [*SMALL, "--device", "cpu", "--workers", "0", "--samples", "1", "--validate-every", "0"]
    words = [
        "train",
        "pix2pix",
        str(pairs),
        "--run",
        str(tmp_path / "run"),
        *small,
        "--steps",
        "2",
        "--batch-size",
        "2",
    ]
    words += ["--import", str(tmp_path / "line_tracker.py"), "--track", "lines"]
    ended = [rank.wait() for rank in forks.start_ranks(train, words)]
    assert [code for code, _, _ in ended] == [0, 0], ended
    kinds = [event[0] for event in events_of(tmp_path / "run") if event[0] != "warning"]
    assert kinds == ["start", "sample", "log", "sample", "model", "end"]


@pytest.fixture(scope="module")
def resumed(pairs: Path, forks: Server, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed past its last checkpoint, and resumed; all trackers have it."""
    wandb, _ = pytest.importorskip("wandb"), pytest.importorskip("tensorboard")
    folder = tmp_path_factory.mktemp("resumed")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    often = ["--steps", "20", "--log-every", "1", "--sample-every", "10", "--samples", "1"]
    words = ["train", "pix2pix", str(pairs), "--run", str(folder / "run"), *SMALL, *often, "--validate-every", "0"]
    words += ["--device", "cpu", "--workers", "0", "--track", *trackers]
    words += ["--save-every", str(CHECKPOINT)]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", NOLOAD, DeprecationWarning)
        offline(patch, folder)
        killed = forks.run(train, words, folder=folder)
        wait_for_step(killed, folder / "run", 11)
        killed.kill()
        assert killed.wait().code < 0
        wandb.teardown()  # it has read the environment of other tests
        assert main([*words, "--resume"]) == 0
        wandb.teardown()
    return folder / "run"


def test_wandb_has_a_resumed_run_in_one_record(resumed: Path) -> None:
    run = WandbRun(resumed)
    assert (len(run.files), len(run.ids)) == (2, 1)
    # Offline, W&B doesn't know which steps it has: they are in both files, where the killed process had written them.
    history = dict(run.history("generator/l1"))
    whole = dict(logged(resumed, "generator/l1"))
    assert list(whole) == list(range(1, 21))
    assert set(range(CHECKPOINT + 1, 21)) <= history.keys()
    assert history.items() <= whole.items()
    assert {20} <= {step for step, _ in run.history("samples/path")} <= {0, 10, 20}
    assert run.summary()["state"] == "finished"


@pytest.mark.filterwarnings(f"ignore:{NOLOAD}:DeprecationWarning")
def test_mlflow_has_a_resumed_run_once(resumed: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{resumed.parent}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("i2i").experiment_id])
    assert run.info.status == "FINISHED"
    history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "generator/l1")]
    assert sorted(history) == logged(resumed, "generator/l1")
    images = [Path(file.path).name for file in client.list_artifacts(run.info.run_id, "images")]
    steps = [name.partition("+timestamp")[0] for name in images if name.endswith(".png")]
    assert sorted(steps) == [f"samples+step+{step}" for step in (0, 10, 20)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*")
def test_tensorboard_has_a_resumed_run_once(resumed: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(resumed / "tensorboard"))
    events.Reload()
    history = [(event.step, event.value) for event in events.Scalars("generator/l1")]
    assert history == [(step, pytest.approx(value)) for step, value in logged(resumed, "generator/l1")]
