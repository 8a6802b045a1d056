"""Training from Python: the example of the documentation, callbacks, and datasets of the caller's own."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

import i2i.training
from i2i import Callbacks, Trainer, build_run, find_layout, run_config, translate
from i2i.config import TrainConfig
from i2i.errors import UsageError
from i2i.methods.pix2pix import Pix2Pix
from i2i.model_file import load_model
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.callbacks import show_in_notebook
from i2i.training.checkpoint import load_state
from i2i.training.run_folder import RunFolder
from support.runs import assert_equal_states, states_equal

SMALL: dict[str, Any] = {
    "image_size": 32,
    "generator": "unet:depth=4,width=4",
    "discriminator": "patchgan:layers=1,width=4",
    "device": "cpu",
    "samples": 2,
}


class Inverted(Dataset[dict[str, torch.Tensor]]):
    """Noise, and its negative."""

    def __init__(self, count: int = 5, *, size: int = 32, names: str = "ab", scale: float = 1.0) -> None:
        self.count, self.size, self.names, self.scale = count, size, names, scale

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        draw = torch.Generator().manual_seed(index)
        a = self.scale * (torch.rand(3, self.size, self.size, generator=draw) * 2 - 1)
        return {name: a if name == "a" else -a for name in self.names}


def test_the_example_of_the_documentation_runs(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pairs, tmp_path / "my_pairs")
    monkeypatch.chdir(tmp_path)
    lines = (i2i.training.__doc__ or "").splitlines()
    code = "\n".join(line for line in lines if line.startswith("    ") or not line)
    small = ", ".join(f"{name}={value!r}" for name, value in SMALL.items())
    namespace: dict[str, Any] = {}
    exec(textwrap.dedent(code).replace("image_size=256, steps=20_000", f"{small}, steps=2, log_every=1"), namespace)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert isinstance(namespace["translated"], Image.Image)
    assert json.loads((tmp_path / "runs/mine/config.json").read_text())["options"]["l1_weight"] == 50


def test_callbacks_are_called_for_logs_samples_checkpoints_and_warnings(pairs: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, Any]] = []
    callbacks = Callbacks(
        on_log=lambda step, losses: told.append(("log", step, losses)),
        on_validation=lambda step, scores: told.append(("validation", step, scores)),
        on_sample=lambda step, path: told.append(("sample", step, path)),
        on_checkpoint=lambda step, path: told.append(("checkpoint", step, path)),
        on_warning=lambda step, diagnosis: told.append(("warning", step, diagnosis)),
    )
    config = run_config("pix2pix", pairs, **SMALL, steps=4, log_every=2, sample_every=3, save_every=3, lr=1.0)
    layout = find_layout([pairs], data="paired")
    assert build_run(config, layout, tmp_path / "run", callbacks=callbacks).fit() == tmp_path / "run/model.safetensors"

    def steps(kind: str) -> list[int]:
        return [step for name, step, _ in told if name == kind]

    assert steps("sample") == [0, 3, 4]
    assert steps("checkpoint") == [0, 3, 4]
    assert steps("log") == [2, 4]
    assert steps("validation") == [4]
    assert steps("warning")[0] == 0
    assert all(path.is_file() for name, _, path in told if name in ("sample", "checkpoint"))
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    logged = [{"step": step, **losses} for name, step, losses in told if name == "log"]
    assert logged == [line for line in lines if "lr" in line]
    ((step, scores),) = ((step, scores) for name, step, scores in told if name == "validation")
    scored = {"step": step, **{f"validation/{name}": value for name, value in scores.items()}}
    assert [scored] == [line for line in lines if "validation/l1" in line]


def test_warnings_are_printed_with_settings_as_python_spells_them(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_run(run_config("pix2pix", pairs, **SMALL, steps=1, lr=1.0), None, tmp_path / "run").fit()
    assert "try: lr=0.0002" in capsys.readouterr().err
    assert "try: --lr" not in (tmp_path / "run/metrics.jsonl").read_text()
    assert '"advice": "--lr 0.0002"' in (tmp_path / "run/metrics.jsonl").read_text()


def test_a_dataset_of_ones_own_trains_translates_and_resumes_exactly(tmp_path: Path) -> None:
    def config(steps: int) -> Any:
        return run_config("pix2pix", **SMALL, steps=steps, batch_size=2, workers=0, schedule="constant")

    build_run(config(6), Inverted(), tmp_path / "whole").fit()
    build_run(config(3), Inverted(), tmp_path / "halves").fit()
    build_run(config(6), Inverted(), tmp_path / "halves", resume=True).fit()
    states_equal(tmp_path / "whole", tmp_path / "halves")
    assert translate(Image.new("RGB", (32, 32)), tmp_path / "whole").size == (32, 32)
    assert load_model(tmp_path / "whole/model.safetensors").domains == ("A", "B")
    assert sorted(path.name for path in (tmp_path / "whole/samples").iterdir()) == ["000000.png", "000006.png"]
    assert json.loads((tmp_path / "whole/summary.json").read_text())["layout"] == "Inverted of 5 samples"


def test_a_method_and_a_dataset_of_ones_own_make_a_trainer(tmp_path: Path) -> None:
    backbones = Backbones(Spec.parse(SMALL["generator"]), Spec.parse(SMALL["discriminator"]), image_size=32)
    method = Pix2Pix(Pix2Pix.Config(), backbones)
    settings = TrainConfig(steps=2, device="cpu", samples=1)
    config = run_config("pix2pix", image_size=32)
    trainer = Trainer(method, Inverted(), settings, run=RunFolder(tmp_path / "run", config))
    trainer.fit()
    other = Trainer(method, Inverted(), settings, run=RunFolder(tmp_path / "other", config))
    state = load_state(tmp_path / "run/state.pt")
    other.load_state_dict(state)
    assert other.step == 2
    assert_equal_states(dict(other.state_dict()["method"]), dict(state["method"]))


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (Inverted(0), "a dataset needs __len__, above 0"),
        (Inverted(names="b"), r"'a' of the dataset's first sample is missing; image_size=32 .* expect \(3, 32, 32\)"),
        (Inverted(names="a"), r"first sample is \['a'\]; expected"),
        (Inverted(scale=255.0), r"'[ab]' of the dataset's first sample is outside \[-1, 1\]"),
        (
            Inverted(size=16),
            r"'a' of .* is \(3, 16, 16\); image_size=32 and channels=\(3, 3\) expect \(3, 32, 32\)",
        ),
    ],
)
def test_datasets_that_a_method_cannot_train_on_are_refused(
    dataset: Dataset[Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=expected):
        build_run(run_config("pix2pix", **SMALL, steps=1), dataset, tmp_path)


def test_a_stream_without_an_index_is_refused(tmp_path: Path) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(())

    with pytest.raises(UsageError, match="Stream: a dataset needs __len__"):
        build_run(run_config("pix2pix", **SMALL, steps=1), Stream(), tmp_path)


def test_a_run_is_not_overwritten(pairs: Path, tmp_path: Path) -> None:
    config = run_config("pix2pix", pairs, **SMALL, steps=1)
    build_run(config, None, tmp_path / "run").fit()
    with pytest.raises(UsageError, match="holds a run already; add resume to resume it, or use another run"):
        build_run(config, None, tmp_path / "run").fit()


def test_settings_go_to_their_dataclass_over_the_defaults_of_the_method() -> None:
    config = run_config("gan", "faces", image_size=16, lr=0.1, real_label=0.9)
    assert (config.data.image_size, config.train.lr, config.options.real_label) == (16, 0.1, 0.9)
    assert (config.train.batch_size, config.paths) == (128, ("faces",))
    with pytest.raises(UsageError, match="unknown setting 'imagesize'; did you mean 'image_size'"):
        run_config("gan", imagesize=16)


def test_a_notebook_shows_each_sample_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
    show_in_notebook(3, tmp_path / "000003.png")  # nothing outside a notebook
    display = types.SimpleNamespace(Image=lambda filename: filename, display=lambda *items: shown.append(items))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show_in_notebook(3, tmp_path / "000003.png")
    assert shown == [("step 3", str(tmp_path / "000003.png"))]
