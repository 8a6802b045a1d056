"""What `i2i bench` measures and prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from i2i.cli import main
from support.images import noise


def test_every_backend_and_precision_is_measured(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, report = tmp_path / "images", tmp_path / "bench.json"
    images.mkdir()
    for name in "ab":
        Image.fromarray(noise(32, 32, 3)).save(images / f"{name}.png")
    flags = ["--seconds", "0.01", "--sizes", "32", "48", "--backends", "torch", "openvino", "--image-size", "32"]
    flags += ["--calibration", str(images), "--methods", "pix2pix", "--json", str(report)]
    assert main(["bench", str(run), *flags]) == 0
    found = json.loads(report.read_text())["measurements"]
    kinds = {(entry.get("backend"), entry.get("precision"), entry["size"]) for entry in found}
    both = {("torch", "fp32"), ("openvino", "fp32"), ("openvino", "int8")}
    assert kinds == {(*kind, size) for kind in both for size in (32, 48)} | {(None, None, 32)}
    for entry in found:
        assert all(entry[name] > 0 for name in ("median", "slow", "startup", "megabytes") if "model" in entry)
    by_backend = {entry["backend"]: entry["startup"] for entry in found if "model" in entry}
    assert by_backend["openvino"] < by_backend["torch"]  # which has PyTorch to import
    said = capsys.readouterr().out
    assert "openvino int8" in said
    assert "training step" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--backends", "onxn"], "did you mean 'onnx'"),
        (["--methods", "pix2pics"], "did you mean 'pix2pix'"),
        (["--seconds", "0"], "more than 0"),
        (["--calibration", "nowhere"], "--calibration nowhere is not a folder"),
        (["nothing"], "unknown model 'nothing'"),
    ],
)
def test_wrong_use(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *flags]) == 2
    assert message in capsys.readouterr().err


def test_the_numbers_overwrite_no_model(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "copy.safetensors"
    model.write_bytes((run / "model.safetensors").read_bytes())
    assert main(["bench", str(model), "--methods", "--json", str(model)]) == 2
    assert "--json would overwrite the input" in capsys.readouterr().err
    assert model.read_bytes() == (run / "model.safetensors").read_bytes()
    assert main(["bench", str(model), "--methods", "--json", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_what_fails_is_named_and_the_rest_is_measured(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.onnx"
    assert main(["export", str(run), str(file), "--precision", "fp16"]) == 0
    flags = ["--seconds", "0.01", "--sizes", "32", "--methods"]
    capsys.readouterr()
    assert main(["bench", str(file), str(run), *flags, "--backends", "torch", "onnx"]) == 1
    said = capsys.readouterr()
    assert "model.onnx, torch, fp16: --backend torch doesn't run .onnx files" in said.err
    assert [line.split()[1:3] for line in said.out.splitlines()[1:]] == [
        ["onnx", "fp16"],
        ["torch", "32"],
        ["onnx", "32"],
    ]
    assert main(["bench", str(file), *flags]) == 0  # what can run it, by itself
    kinds = [line.split()[1:3] for line in capsys.readouterr().out.splitlines()[1:]]
    assert sorted(kinds) == [["onnx", "fp16"], ["openvino", "fp16"]]


def test_sizes_before_one_that_fails_are_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--seconds", "0.01", "--sizes", "32", "20000000", "--backends", "torch", "--methods"]
    assert main(["bench", str(run), *flags]) == 1
    said = capsys.readouterr()
    assert [line.split()[2] for line in said.out.splitlines()[1:]] == ["32"]
    assert "torch, fp32: " in said.err


def test_a_damaged_file_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    assert main(["bench", str(tmp_path / "broken.onnx"), "map2sat"]) == 2
    assert "broken.onnx can't be opened" in capsys.readouterr().err
