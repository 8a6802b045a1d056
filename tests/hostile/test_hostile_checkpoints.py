"""Damaged and hostile checkpoints: each is refused in one line, or restored bit for bit. Seeded; counts are printed."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import pickle
import random
import shutil
import struct
import tarfile
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.cli import main
from i2i.errors import UsageError
from i2i.training.checkpoint import STATE_FORMAT, load_state, save_state
from i2i.training.integrity import state_checksum
from i2i.training.resume import restore
from support.runs import assert_equal_states, trainer

State = dict[str, Any]
NAN, HUGE, SHAPE = float("nan"), 10**12, (2, 3, 4, 4)
SPECS = {"generator": "unet:depth=2,width=2", "discriminator": "patchgan:layers=0,width=2"}
DONE = "has done its 12 steps"  # what a whole state of the run says


class Checkpoints:
    """A run folder that a state is put into, and what resuming from it did, counted by kind of damage."""

    def __init__(self, run: Path, data: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.data, self.capsys = folder, data, capsys
        shutil.copy(run / "config.json", folder)
        self.whole = (run / "state.pt").read_bytes()
        self.state = load_state(run / "state.pt")
        self.trainer = trainer(data, folder, **SPECS)
        self.counts: Counter[str] = Counter()
        self.tried = 0

    def resume(self, state: bytes | None = None) -> str:
        """What resuming says, in one line."""
        if state is not None:
            (self.folder / "state.pt").write_bytes(state)
        self.tried += 1
        if self.tried % 16 == 1:
            return self.resume_by_command()
        try:
            restore(self.trainer, self.folder)
            said = DONE
        except UsageError as error:
            said = str(error)
        return plain(said)

    def resume_by_command(self) -> str:
        """The same by the command line, with its exit code."""
        code = main(["train", "pix2pix", str(self.data), "--run", str(self.folder), "--resume", "--device", "cpu"])
        out, said = self.capsys.readouterr()
        assert (code, out) == (2, ""), said
        assert said.startswith("i2i: "), said
        assert said.endswith("\n"), said
        if DONE in said:
            restore(self.trainer, self.folder)
        return plain(said[:-1])

    def refuses(self, state: bytes) -> str:
        """The line that refuses a state."""
        said = self.resume(state)
        assert DONE not in said
        self.counts["refused"] += 1
        return said

    def holds(self, state: bytes) -> None:
        """Resume from a state that may be whole: it is refused, or has every bit that was saved."""
        if DONE not in self.resume(state):
            self.counts["refused"] += 1
            return
        restored = self.trainer.state_dict()
        saved = {name: copy.deepcopy(self.state[name]) for name in restored}
        for state in (restored, saved):
            for optimizer in state["optimizers"].values():
                optimizer.pop("param_groups")  # settings, such as a rate that each step sets
        assert_equal_states(restored, saved)
        self.counts["restored bit for bit"] += 1

    def refuses_values(self, change: Callable[[State], object], *, expected: str) -> None:
        """Refuse values that were saved with a right CRC and a right checksum."""
        changed = copy.deepcopy(self.state)
        change(changed)
        save_state(self.folder / "state.pt", changed)
        said = self.resume()
        assert DONE not in said
        assert expected in said
        self.counts["refused"] += 1


def plain(said: str) -> str:
    """A line as people should see it."""
    assert "\n" not in said, said
    assert len(said) < 700, said
    for foreign in ("weights_only", "Traceback", "torch.load", "unpickl", "PytorchStreamReader", "zipfile"):
        assert foreign not in said, said
    return said


@pytest.fixture(scope="module")
def small(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of few weights, 12 steps."""
    one = trainer(pairs, tmp_path_factory.mktemp("small"), steps=12, validate_every=12, **SPECS)
    one.fit()
    return one.run.path


@pytest.fixture
def checkpoints(
    small: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Iterator[Checkpoints]:
    found = Checkpoints(small, pairs, tmp_path, capsys)
    yield found
    with capsys.disabled():
        print(f"\n{request.node.name}: {found.counts.total()} checkpoints: {dict(found.counts)}")


def entries(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def archived(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive with a right CRC of each entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def test_bits_that_flip_anywhere(checkpoints: Checkpoints) -> None:
    rng, whole = random.Random(1), checkpoints.whole
    indices = [rng.randrange(8 * len(whole)) for _ in range(16)]
    indices += [rng.randrange(8 * (len(whole) - 6000), 8 * len(whole)) for _ in range(10)]  # the archive's directory
    indices += [rng.randrange(8 * 16000) for _ in range(10)]  # the pickle
    for index in indices:
        checkpoints.holds(flipped(whole, index))
    assert checkpoints.counts["refused"] >= 18


def test_bits_that_flip_and_pass_the_crc(checkpoints: Checkpoints) -> None:
    rng, found = random.Random(2), entries(checkpoints.whole)
    tensors = [name for name in found if "/data/" in name]
    for name in rng.sample(tensors, 10):
        index = rng.randrange(8 * len(found[name]))
        said = checkpoints.refuses(archived({**found, name: flipped(found[name], index)}))
        assert "its checksum differs" in said
    (pickled,) = (name for name in found if name.endswith("data.pkl"))
    for _ in range(10):
        index = rng.randrange(8 * len(found[pickled]))
        checkpoints.holds(archived({**found, pickled: flipped(found[pickled], index)}))
    assert checkpoints.counts["refused"] >= 10 + 5


def test_archives_that_are_cut_or_torn(checkpoints: Checkpoints) -> None:
    rng, whole = random.Random(3), checkpoints.whole
    for size in [0, 1, 22, 100, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(7))]:
        checkpoints.refuses(whole[:size])
    for _ in range(4):
        begin = rng.randrange(len(whole) - 5000)
        checkpoints.refuses(whole[:begin] + bytes(5000) + whole[begin + 5000 :])
    checkpoints.holds(whole + b"\0" * 100)
    checkpoints.holds(b"\0" * 100 + whole)
    checkpoints.refuses(whole[5000:] + whole[:5000])


def test_archives_with_other_entries(checkpoints: Checkpoints) -> None:
    rng, found = random.Random(4), entries(checkpoints.whole)
    checkpoints.holds(archived(found))
    assert checkpoints.counts["restored bit for bit"] == 1, "the archive that the others are made of"
    tensors = [name for name in found if "/data/" in name]
    swaps = [(a, b) for a in tensors for b in tensors if a < b and len(found[a]) == len(found[b])]
    for a, b in rng.sample([pair for pair in swaps if found[pair[0]] != found[pair[1]]], 10):
        checkpoints.refuses(archived({**found, a: found[b], b: found[a]}))
    for name in [*rng.sample(tensors, 4), *(name for name in found if name.endswith("data.pkl"))]:
        checkpoints.refuses(archived({other: data for other, data in found.items() if other != name}))
        checkpoints.refuses(archived({**found, name: found[name][:-1]}))
        checkpoints.refuses(archived({**found, name: b""}))
    checkpoints.refuses(archived(found, zipfile.ZIP_DEFLATED))
    buffer = io.BytesIO(checkpoints.whole)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(tensors[0], found[tensors[0]])
    checkpoints.refuses(buffer.getvalue())
    checkpoints.refuses(archived({}))
    for _ in range(5):  # a wrong CRC in the directory
        crc = struct.pack("<I", zipfile.crc32(found[rng.choice([name for name in tensors if found[name]])]))
        at = checkpoints.whole.rindex(crc)
        checkpoints.refuses(checkpoints.whole[:at] + flipped(crc, rng.randrange(32)) + checkpoints.whole[at + 4 :])


def first(values: dict[str, torch.Tensor]) -> str:
    return next(name for name, value in values.items() if value.dim() == 4)


def set_weight(value: Any) -> Callable[[State], object]:
    return lambda state: state["method"].update({first(state["method"]): value})


def set_value(value: float) -> Callable[[State], object]:
    return lambda state: state["method"][first(state["method"])].view(-1)[3:4].fill_(value)


def moment(key: str, change: Callable[[torch.Tensor], Any]) -> Callable[[State], object]:
    def apply(state: State) -> None:
        kept = state["optimizers"]["generator"]["state"][0]
        kept[key] = change(kept[key])

    return apply


VALUES: dict[str, tuple[Callable[[State], object], str]] = {
    "NaN weight": (set_value(NAN), "has NaN or infinite values"),
    "infinite weight": (set_value(-float("inf")), "has NaN or infinite values"),
    "weight of text": (set_weight("weight"), "is not a dense tensor"),
    "weight of a list": (set_weight([1.0]), "is not a dense tensor"),
    "no weight": (set_weight(None), "is not a dense tensor"),
    "float64 weight": (set_weight(torch.zeros(SHAPE, dtype=torch.float64)), "is of torch.float64"),
    "integer weight": (set_weight(torch.zeros(SHAPE, dtype=torch.int64)), "is of torch.int64"),
    "complex weight": (set_weight(torch.zeros(SHAPE, dtype=torch.complex64)), "is of torch.complex64"),
    "sparse weight": (set_weight(torch.ones(SHAPE).to_sparse()), "it would import 'torch."),
    "meta weight": (set_weight(torch.empty(SHAPE, device="meta")), "is not a dense tensor"),
    "weight of another shape": (set_weight(torch.zeros(3, 3)), "was saved with other networks"),
    "weight larger than memory": (set_weight(torch.zeros(1).expand(10**3, 10**3)), "was saved with other networks"),
    "missing weight": (lambda s: s["method"].pop(first(s["method"])), "was saved with other networks"),
    "unknown weight": (lambda s: s["method"].update(x=torch.zeros(1)), "was saved with other networks"),
    "number as a name": (lambda s: s["method"].update({1: torch.zeros(1)}), "method has the wrong type"),
    "weights in a list": (lambda s: s.update(method=[1]), "method has the wrong type"),
    "no weights": (lambda s: s.pop("method"), "method is missing"),
    "no optimizers": (lambda s: s.pop("optimizers"), "optimizers is missing"),
    "optimizer of no player": (lambda s: s["optimizers"].pop("generator"), "optimizers/generator has the wrong type"),
    "optimizer without groups": (lambda s: s["optimizers"]["generator"].pop("param_groups"), "has the wrong type"),
    "optimizer of fewer weights": (
        lambda s: s["optimizers"]["generator"]["param_groups"][0]["params"].pop(),
        "was saved with other networks",
    ),
    "optimizer of other weights": (
        lambda s: s["optimizers"]["generator"]["state"].update({HUGE: {}}),
        f"generator/{HUGE} has the wrong type",
    ),
    "moments of other names": (lambda s: s["optimizers"]["generator"]["state"][0].update(x=1), "holds step, exp_avg"),
    "NaN moment": (moment("exp_avg", lambda m: m * NAN), "has NaN or infinite values"),
    "negative variance": (moment("exp_avg_sq", lambda m: -m - 1), "exp_avg_sq is negative"),
    "moment of another shape": (moment("exp_avg", lambda m: m[:1]), "is of shape"),
    "moment of text": (moment("exp_avg", lambda _: "moment"), "is not a dense tensor"),
    "infinite steps of a weight": (moment("step", lambda _: torch.tensor(float("inf"))), "has NaN or infinite"),
    "steps of several": (moment("step", lambda _: torch.ones(2)), "is of shape (2,)"),
    "step of text": (lambda s: s.update(step="12"), "step is not an integer"),
    "step of a float": (lambda s: s.update(step=12.0), "step is not an integer"),
    "true step": (lambda s: s.update(step=True), "step is not an integer"),
    "negative step": (lambda s: s.update(step=-1), "step is -1"),
    "no step": (lambda s: s.pop("step"), "step is not an integer"),
    "random state of another size": (lambda s: s["random"].update(cpu=torch.zeros(9, dtype=torch.uint8)), "random/cpu"),
    "random state of zeros": (lambda s: s["random"]["cpu"].zero_(), "random/cpu is not the state of a random"),
    "random state of floats": (lambda s: s["random"].update(cpu=torch.zeros(5056)), "random/cpu is of torch.float32"),
    "no random state": (lambda s: s["random"].clear(), "random/cpu is not a dense tensor"),
    "best of text": (lambda s: s.update(best="good"), "best has the wrong type"),
    "best of NaN": (lambda s: s.update(best={"step": 3, "score": "l1", "value": NAN}), "best/value is nan"),
    "best without a step": (lambda s: s.update(best={}), "best/step is not an integer"),
    "health of text": (lambda s: s.update(diagnostics="good"), "diagnostics has the wrong type"),
    "scores of text": (lambda s: s["diagnostics"].update(scores="good"), "diagnostics/scores has the wrong type"),
    "counts of lists": (
        lambda s: s["diagnostics"].update(flat={"fake_b": [[]]}),
        "diagnostics/flat has the wrong type",
    ),
    "classes of a number": (lambda s: s["data"].update(classes=3), "data has the wrong type"),
    "classes of others": (lambda s: s["data"].update(classes=["cat", 3]), "was trained with cat, 3"),
    "listing of text": (
        lambda s: s["data"]["listing"].update(training="x"),
        "data/listing/training has the wrong type",
    ),
    "listing without a count": (
        lambda s: s["data"]["listing"]["training"].pop("files"),
        "data/listing/training/files is not an integer",
    ),
    "scaler of text": (lambda s: s["optimizers"]["generator"].update(scaler={"scale": "x"}), "scale is not a number"),
    "scaler of a list": (
        lambda s: s["optimizers"]["generator"].update(scaler=[1]),
        "optimizers/generator/scaler has the wrong type",
    ),
}


def test_values_of_wrong_types_shapes_and_ranges(checkpoints: Checkpoints) -> None:
    for name, (change, expected) in VALUES.items():
        try:
            checkpoints.refuses_values(change, expected=expected)
        except Exception as error:
            raise AssertionError(name) from error


def test_versions_of_modules_that_are_not_dicts(checkpoints: Checkpoints) -> None:
    def change(state: State) -> None:
        state["method"] = OrderedDict(state["method"])
        state["method"]._metadata = {"": 3}

    checkpoints.refuses_values(change, expected="the versions of method have the wrong type")


def test_checkpoints_of_other_methods_and_networks(
    checkpoints: Checkpoints, pairs: Path, unpaired: Path, tmp_path: Path
) -> None:
    others = {
        "cyclegan": trainer(unpaired, tmp_path / "cyclegan", "cyclegan"),
        "wider": trainer(pairs, tmp_path / "wider", generator="unet:depth=4,width=8"),
        "sgd": trainer(pairs, tmp_path / "sgd", optimizer="sgd", **SPECS),
    }
    for name, other in others.items():
        other.save()
        said = checkpoints.refuses((other.run.path / "state.pt").read_bytes())
        assert ("another optimizer; resume with optimizer=sgd" if name == "sgd" else "with other networks") in said


class Harm:
    """Pickles as a call of anything."""

    def __init__(self, call: Any, *given: Any) -> None:
        self.made_of = call, given

    def __reduce__(self) -> Any:
        return self.made_of


def test_pickles_that_would_run_code(checkpoints: Checkpoints, tmp_path: Path) -> None:
    mark, found = tmp_path / "harmed", entries(checkpoints.whole)
    (pickled,) = (name for name in found if name.endswith("data.pkl"))
    harms = [
        Harm(os.system, f"touch {mark}"),
        Harm(eval, f"open({str(mark)!r}, 'w')"),
        Harm(Path.touch, mark),
        Harm(bytearray, HUGE),
        Harm(torch.load, str(mark)),
        Harm(torch.ones, HUGE),
        {**checkpoints.state, "diagnostics": Harm(os.mkdir, str(mark))},
    ]
    for harm in harms:
        for protocol in (0, 2, 4):
            checkpoints.refuses(archived({**found, pickled: pickle.dumps(harm, protocol)}))
        checkpoints.refuses(pickle.dumps(harm))
    checkpoints.refuses(archived({**found, pickled: b"(S'touch %s'\nios\nsystem\n." % bytes(mark)}))
    buffer = io.BytesIO()
    torch.save({"format": STATE_FORMAT}, buffer, _use_new_zipfile_serialization=False)
    checkpoints.refuses(buffer.getvalue())
    with tarfile.open(tmp_path / "state.tar", "w") as archive:
        archive.add(checkpoints.folder / "config.json")
    checkpoints.refuses((tmp_path / "state.tar").read_bytes())
    assert not mark.exists()


def test_checkpoints_that_would_take_all_time_or_memory(checkpoints: Checkpoints) -> None:
    doubled: Any = [0]
    for _ in range(60):
        doubled = [doubled, doubled]
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    many = [torch.zeros(10**6)] * 10**4
    for value in (doubled, endless, deep, many, torch.zeros(1).expand(HUGE)):
        buffer = io.BytesIO()
        torch.save({**checkpoints.state, "format": STATE_FORMAT, "checksum": "", "diagnostics": value}, buffer)
        checkpoints.refuses(buffer.getvalue())


def test_checkpoints_of_other_versions_and_programs(checkpoints: Checkpoints) -> None:
    def saved(**values: Any) -> bytes:
        buffer = io.BytesIO()
        state = {**checkpoints.state, "made_by": "i2i-toolkit 9.0", **values}
        torch.save({**state, "checksum": state_checksum(state)}, buffer)
        return buffer.getvalue()

    said = checkpoints.refuses(saved(format="i2i-state/9"))
    assert "written by i2i-toolkit 9.0 as i2i-state/9" in said
    assert "pip install --upgrade i2i-toolkit" in said
    for other in ("i2i-model/1", 3, None, ["i2i-state/2"], "i2i-state/" + "9" * 10**6):
        checkpoints.refuses(saved(format=other))
    buffer = io.BytesIO()
    torch.save(torch.zeros(3), buffer)
    checkpoints.refuses(buffer.getvalue())


@pytest.mark.parametrize("version", ["i2i-state/1", "i2i-state/2"])
def test_a_checkpoint_of_an_older_version_is_refused_with_what_to_do(checkpoints: Checkpoints, version: str) -> None:
    older = {name: value for name, value in checkpoints.state.items() if name != "data"}
    buffer = io.BytesIO()
    torch.save({**older, "format": version, "made_by": "i2i-toolkit 0.1"}, buffer)
    said = checkpoints.refuses(buffer.getvalue())
    assert f"written by i2i-toolkit 0.1 as {version}" in said
    assert "finish the run with the i2i that wrote it, or train again with another" in said


def test_a_refused_checkpoint_changes_nothing_of_a_trainer(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, steps=2, **SPECS)
    one.fit()
    state = load_state(tmp_path / "state.pt")
    changes = [change for name, (change, _) in VALUES.items() if name not in ("missing weight", "unknown weight")]
    before = copy.deepcopy(one.method.state_dict())
    optimizers = copy.deepcopy({name: player.optimizer.state_dict() for name, player in one.players.items()})
    random_numbers = torch.get_rng_state()
    for change in changes:
        changed = copy.deepcopy(state)
        for name, value in changed["method"].items():
            if value.is_floating_point():
                changed["method"][name] = value + 1
        change(changed)
        save_state(tmp_path / "state.pt", changed)
        with pytest.raises(UsageError):
            restore(one, tmp_path)
    assert_equal_states(dict(one.method.state_dict()), dict(before))
    assert_equal_states({name: player.optimizer.state_dict() for name, player in one.players.items()}, optimizers)
    assert torch.equal(torch.get_rng_state(), random_numbers)


def test_a_damaged_config_is_refused_in_one_line(checkpoints: Checkpoints) -> None:
    rng, path = random.Random(5), checkpoints.folder / "config.json"
    text = path.read_bytes()
    config = json.loads(text)
    changed = [{**config, name: value} for name, value in itertools.product(config, (None, "x", {"x": {}}))]
    changed += [{**config, "data": {**config["data"], name: [{}]}} for name in list(config["data"])[::3]]
    written = [json.dumps(one).encode() for one in [*changed, [], 3, None]]
    written += [text[: rng.randrange(len(text))] for _ in range(4)]
    written += [b"[" * 10**5, b"\xff\xfe", b"", b'{"method": ' + b'{"a":' * 10**5]
    for one in written:
        path.write_bytes(one)
        (checkpoints.folder / "state.pt").write_bytes(checkpoints.whole)
        checkpoints.resume_by_command()
        checkpoints.counts["one line"] += 1
