"""What TensorBoard's event files have of a run, read back with its own reader."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.training.diagnostics import Diagnosis
from i2i.training.trackers import TrackedRun, trackers
from support.runs import SMALL
from support.trackers import logged, tracked


def events_of(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def texts(events: Any, name: str) -> list[tuple[int, str]]:
    found = events.Tensors(f"{name}/text_summary")
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*")
def test_tensorboard_has_the_settings_metrics_scores_and_samples(pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tracked(pairs, tmp_path, "tensorboard").fit()
    events = events_of(tmp_path)
    for name, steps in (("generator/l1", [2, 4]), ("validation/l1", [4])):
        assert [event.step for event in events.Scalars(name)] == steps
        assert [event.value for event in events.Scalars(name)] == pytest.approx([v for _, v in logged(tmp_path, name)])
    for event in events.Images("samples"):
        with Image.open(tmp_path / "samples" / f"{event.step:06d}.png") as written:
            np.testing.assert_array_equal(Image.open(io.BytesIO(event.encoded_image_string)), written)
    assert [event.step for event in events.Images("samples")] == [0, 4]
    ((step, settings),) = texts(events, "settings")
    assert (step, "    method: pix2pix" in settings.splitlines()) == (0, True)
    assert texts(events, "state") == [(0, "finished")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*")
def test_steps_past_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for step, values in ((0, {2: 1.0, 4: 2.0, 6: 3.0}), (4, {6: 5.0, 8: 6.0})):
        tracker = trackers["tensorboard"]()
        tracker.on_start(TrackedRun(tmp_path, {}, step=step))
        for logged_step, value in values.items():
            tracker.on_log(logged_step, {"loss": value})
        tracker.on_warning(7, Diagnosis("it is dark", "--light 3"))
        tracker.on_end("stopped")
    events = events_of(tmp_path)
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(2, 1.0), (4, 2.0), (6, 5.0), (8, 6.0)]
    assert set(texts(events, "warnings")) == {(7, "it is dark; try: --light 3")}


def test_without_the_package_the_flag_says_what_to_install(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "r"), "--track", "tensorboard"]) == 2
    assert capsys.readouterr().err == "i2i: --track tensorboard needs another package: pip install tensorboard\n"
