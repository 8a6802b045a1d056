"""The encoder of a trained generator: what it learns, that the generator stays as it is, and its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from i2i import Sampler
from i2i.cli.main import main
from i2i.editing import Editor
from i2i.errors import UsageError
from i2i.methods import methods
from i2i.model_file import load_model
from i2i.networks import build_latent_encoder

SMALL = ["--workers", "0", "--validate-every", "0", "--quiet", "--device", "cpu", "--samples", "2"]


@pytest.fixture(scope="module")
def trained(unpaired: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of gan."""
    run = tmp_path_factory.mktemp("gan") / "run"
    networks = ["--generator", "dcgan:width=4,latent=8", "--discriminator", "dcgan:width=4"]
    size = ["--image-size", "32", "--batch-size", "4", "--steps", "3"]
    assert main(["train", "gan", str(unpaired / "trainB"), "--run", str(run), *networks, *size, *SMALL]) == 0
    return run


def test_it_learns_latents_and_leaves_the_generator_as_it_is(trained: Path, tmp_path: Path) -> None:
    options = [
        "--encoder-width",
        "4",
        "--perceptual-weight",
        "0",
        "--batch-size",
        "4",
        "--steps",
        "40",
        "--lr",
        "0.002",
    ]
    run = tmp_path / "encoder"
    assert main(["train", "encoder", str(trained), "--run", str(run), "--log-every", "10", *options, *SMALL]) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["encoder/squared"] < lines[0]["encoder/squared"]
    before, after = (load_model(folder / "model.safetensors").generators for folder in (trained, run))
    assert after.keys() == {"z2b", "b2z"}
    assert all(
        torch.equal(after["z2b"].state_dict()[name], value) for name, value in before["z2b"].state_dict().items()
    )
    assert [image.tobytes() for image in Sampler.load(run, device="cpu")(2)] == [
        image.tobytes() for image in Sampler.load(trained, device="cpu")(2)
    ]
    header = json.loads((run / "config.json").read_text())
    assert header["data"]["image_size"] == 32
    assert Path(header["paths"][0]).name == "trainB"
    assert load_model(run / "model.safetensors").config["options"]["model"] == trained.name
    editor = Editor.load(run, device="cpu")
    photo = next(Path(header["paths"][0]).iterdir())
    errors = {}
    for by in ("network", "hybrid"):
        editor.project(photo, by=by, evaluations=10)
        errors[by] = editor.error(photo)
    assert errors["hybrid"] <= errors["network"]


def test_features_add_a_term(trained: Path) -> None:
    method = make(trained, perceptual_weight=0.1)
    images = method({"b": torch.rand(2, 3, 32, 32) * 2 - 1})
    losses = method.generator_loss(images)
    assert losses.keys() == {"squared", "perceptual"}
    torch.testing.assert_close(losses["squared"], (images.real_b - images.reconstructed_b).square().mean())
    assert losses["perceptual"] > 0
    sum(losses.values()).backward()
    assert all(weight.grad is not None for weight in method.encoder.parameters())
    assert all(weight.grad is None for weight in method.generator.parameters())
    assert not method.train().generator.training


def make(model: Path | str, **options: float) -> torch.nn.Module:
    kind = methods["encoder"]
    backbones = kind.backbones(None, None, image_size=32, channels=(3, 3))
    return kind(kind.Config(model=str(model), encoder_width=4, **options), backbones)


@pytest.mark.parametrize(("prior", "bounded"), [("uniform", True), ("normal", False)])
def test_latents_of_a_uniform_prior_lie_within_it(prior: str, bounded: bool) -> None:
    torch.manual_seed(0)
    encoder = build_latent_encoder(f"dcgan:width=4,latent=5,prior={prior}", in_channels=3, image_size=16)
    for weight in encoder.parameters():
        weight.data *= 30
    latents = encoder(torch.rand(3, 3, 16, 16) * 2 - 1)
    assert latents.shape == (3, 5)
    assert bool(latents.abs().max() <= 1) == bounded


def test_a_wrong_model_is_named(trained: Path) -> None:
    with pytest.raises(UsageError, match="give its run in place of the data: i2i train encoder RUN"):
        make("")
    kind = methods["encoder"]
    with pytest.raises(UsageError, match=r"generates images of 32 px and 3 channels .* the data have 16 px"):
        kind(kind.Config(model=str(trained)), kind.backbones(None, None, image_size=16, channels=(3, 3)))
    with pytest.raises(UsageError, match="doesn't generate images from latents; use a run of gan"):
        make(Path("map2sat"))
