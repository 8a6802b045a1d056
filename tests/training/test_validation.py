"""Validation scores by hand, and the best model."""

from __future__ import annotations

import json
import math
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
from i2i.model_file import load_model
from i2i.training.checkpoint import load_state
from i2i.training.validation import Validation
from support.runs import assert_equal_states, trainer

CPU = torch.device("cpu")


def pictures(folder: Path, pixels: list[tuple[int, int]]) -> ImageDataset:
    """Pairs of images of one level each."""
    folder.mkdir()
    sources: list[list[Source]] = [[], []]
    for index, pair in enumerate(pixels):
        for name, one, found in zip("ab", pair, sources, strict=True):
            Image.fromarray(np.full((16, 16), one, np.uint8)).save(path := folder / f"{index}{name}.png")
            found.append(Source(path))
    return ImageDataset(Split(tuple(sources[0]), tuple(sources[1])), paired=True, image_size=16, load_size=16)


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "validation/l1" in line]


def test_scores_of_an_identity_by_hand(tmp_path: Path) -> None:
    held_out = pictures(tmp_path / "held", [(100, 110), (50, 50)])
    scores, training = Validation(held_out, pictures(tmp_path / "train", [(0, 4), (9, 9)]), count=9)(nn.Identity(), CPU)
    assert scores["n"] == 2
    assert scores["l1"] == pytest.approx((10 + 0) / 2)
    assert scores["psnr"] == pytest.approx((20 * math.log10(255 / 10) + 100) / 2)
    # Flat images have no contrast or structure: their means alone, with C1 = (0.01 * 255)^2.
    of_means = (2 * 100 * 110 + 6.5025) / (100**2 + 110**2 + 6.5025)
    assert scores["ssim"] == pytest.approx((of_means + 1) / 2, abs=1e-6)
    assert training == pytest.approx(2.0)


def test_pixels_are_rounded_and_clipped_as_in_a_file(tmp_path: Path) -> None:
    # What lies beyond white is white, and a third of a level is none.
    shift = lambda amount: lambda x: x + amount / 127.5  # noqa: E731
    validation = Validation(pictures(tmp_path / "held", [(250, 255)]), pictures(tmp_path / "train", [(0, 0)]), count=1)
    assert validation(shift(100), CPU)[0]["l1"] == 0
    assert validation(shift(0.3), CPU)[0]["l1"] == 5
    assert validation(shift(3), CPU)[0]["l1"] == 2


def test_images_are_spread_over_those_held_out_and_at_most_as_many(tmp_path: Path) -> None:
    held_out = pictures(tmp_path / "held", [(level, level + 1) for level in range(0, 80, 10)])
    validation = Validation(held_out, pictures(tmp_path / "train", [(0, 0)]), count=4)
    assert ((validation.held_out["a"][:, 0, 0, 0] + 1) * 127.5).round().tolist() == [0, 20, 40, 60]
    assert validation(nn.Identity(), CPU)[0]["n"] == 4


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
    model = load_model(tmp_path / "run" / "best.safetensors").generators["a2b"]
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


def test_validation_neither_draws_random_numbers_nor_trains(pairs: Path, tmp_path: Path) -> None:
    for name, every in (("often", 1), ("never", 0)):
        trainer(pairs, tmp_path / name, validate_every=every).fit()
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
def test_methods_without_pairs_have_none(method: str, generator: str, unpaired: Path, tmp_path: Path) -> None:
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
    network = one.method.generators()["a2b"].eval()
    torch.manual_seed(1)
    first = one.validation(network, CPU)
    torch.manual_seed(2)
    assert one.validation(network, CPU) == first
    one.fit()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_validate_every_0_turns_validation_off(pairs: Path, tmp_path: Path) -> None:
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path), "--image-size", "32", "--steps", "1"]
    specs = ["--generator", "unet:depth=4,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    assert main([*words, *specs, "--validate-every", "0"]) == 0
    assert not (tmp_path / "best.safetensors").exists()
