"""Training on Hugging Face datasets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i import build_run, run_config
from i2i.errors import UsageError
from support.runs import scene, states_equal

datasets = pytest.importorskip("datasets")
PAGE = Path(__file__).parents[2] / "docs" / "large_datasets.md"
SMALL: dict[str, Any] = {
    "image_size": 32,
    "generator": "unet:depth=4,width=4",
    "discriminator": "patchgan:layers=1,width=4",
    "device": "cpu",
    "samples": 2,
}


def rows(first: int, count: int, names: tuple[str, str] = ("a", "b")) -> Any:
    sides = zip(*(scene(first + number) for number in range(count)), strict=True)
    return datasets.Dataset.from_dict(dict(zip(names, map(list, sides), strict=True)))


def test_the_example_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names = ("before", "after")
    datasets.DatasetDict(train=rows(0, 3, names), validation=rows(10, 2, names)).save_to_disk("my_edits")
    scene(20)[0].save("photo.jpg")
    small = ", ".join(f"{name}={value!r}" for name, value in SMALL.items())
    namespace: dict[str, Any] = {}
    exec(code.replace("image_size=256, steps=20_000", f"{small}, steps=2"), namespace)
    assert isinstance(namespace["translated"], Image.Image)
    summary = json.loads(Path("runs/edits/summary.json").read_text())
    assert (summary["domains"], summary["training_images"], summary["held_out_images"]) == (["before", "after"], 3, 2)
    lines = [json.loads(line) for line in Path("runs/edits/metrics.jsonl").read_text().splitlines()]
    assert [line["validation/n"] for line in lines if "validation/l1" in line] == [2]


def test_a_run_resumes_exactly_and_is_warned_of_other_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def config(steps: int) -> Any:
        return run_config("pix2pix", **SMALL, steps=steps, workers=0, schedule="constant", validate_every=0)

    build_run(config(4), rows(0, 5), tmp_path / "whole").fit()
    build_run(config(2), rows(0, 5), tmp_path / "halves").fit()
    build_run(config(4), rows(0, 5), tmp_path / "halves", resume=True).fit()
    states_equal(tmp_path / "whole", tmp_path / "halves")
    assert "have changed" not in capsys.readouterr().err
    build_run(config(5), rows(1, 5), tmp_path / "halves", resume=True).fit()
    assert "the training images have changed since the run was saved" in capsys.readouterr().err


def test_a_method_of_a_single_set_trains_with_the_classes_of_the_labels(tmp_path: Path) -> None:
    images = [scene(number)[1] for number in range(4)]
    data = datasets.Dataset.from_dict({"image": images, "label": list("xyxy")}).class_encode_column("label")
    small = {"image_size": 16, "generator": "dcgan:width=4", "discriminator": "dcgan:width=4", "device": "cpu"}
    config = run_config("gan", labels=True, steps=1, batch_size=2, workers=0, samples=2, **small)
    build_run(config, data, tmp_path / "run").fit()
    assert json.loads((tmp_path / "run/summary.json").read_text())["training_images"] == 4


def test_tensors_keep_their_way(tmp_path: Path) -> None:
    values = [[[[0.5] * 32] * 32] * 3] * 2
    data = datasets.Dataset.from_dict({"a": values, "b": values}).with_format("torch")
    trainer = build_run(run_config("pix2pix", **SMALL, steps=1), data, tmp_path / "run")
    assert trainer.dataset[0]["a"].shape == (3, 32, 32)


def test_a_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a stream can't resume"):
        build_run(run_config("pix2pix", **SMALL, steps=1), rows(0, 2).to_iterable_dataset(), tmp_path)
