"""Distillation: what the student learns, that the teacher stays as it is, and its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from i2i.cli.main import main
from i2i.errors import UsageError
from i2i.methods import methods
from i2i.model_file import Model, load_model, save_model
from i2i.networks import build_generator

QUIET = ["--workers", "0", "--validate-every", "0", "--quiet", "--device", "cpu", "--samples", "2"]
TEACHER = "unet:depth=4,width=8,dropout=0"
STUDENT = "unet:depth=4,width=4"


@pytest.fixture(scope="module")
def teacher(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pix2pix."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    networks = ["--generator", TEACHER, "--discriminator", "patchgan:width=4,layers=1"]
    size = ["--image-size", "32", "--steps", "30", "--lr", "0.002"]
    assert main(["train", "pix2pix", str(pairs), "--run", str(run), *networks, *size, *QUIET]) == 0
    return run


def make(teacher: Path | str, *, student: str = STUDENT, size: int = 32, channels=(3, 3), **options):
    torch.manual_seed(1)
    kind = methods["distill"]
    backbones = kind.backbones(student, "patchgan:width=4,layers=1", image_size=size, channels=channels)
    return kind(kind.Config(teacher=str(teacher), **options), backbones)


def batch(size: int = 32) -> dict[str, torch.Tensor]:
    return {name: torch.rand(2, 3, size, size) * 2 - 1 for name in "ab"}


def model_of(path: Path, **generators: str) -> Path:
    """A model file with untrained generators."""
    networks = {
        direction: build_generator(spec, in_channels=3, out_channels=3) for direction, spec in generators.items()
    }
    preprocess = {"image_size": 32, "channels": [3, 3], "depths": [8, 8]}
    save_model(path, Model(networks, ("horse", "zebra"), preprocess, {}, 1))
    return path


def test_a_run_of_its_teacher_gives_the_data_and_the_student_comes_closer_to_it(teacher: Path, tmp_path: Path) -> None:
    run = tmp_path / "student"
    networks = ["--generator", STUDENT, "--discriminator", "patchgan:width=4,layers=1"]
    length = ["--steps", "100", "--lr", "0.002", "--log-every", "5"]
    assert main(["train", "distill", str(teacher), "--run", str(run), *networks, *length, *QUIET]) == 0
    saved = json.loads((run / "config.json").read_text())
    assert saved["paths"] == json.loads((teacher / "config.json").read_text())["paths"]
    assert saved["data"]["image_size"] == 32
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for term in ("generator/output", "generator/features"):
        assert lines[-1][term] < 0.8 * lines[0][term]
    generators = load_model(run / "model.safetensors").generators
    assert generators.keys() == {"a2b"}
    assert generators["a2b"].spec.options["width"] == 4
    assert (run / "model.safetensors").stat().st_size < (teacher / "model.safetensors").stat().st_size / 2


def test_the_terms_are_distances_to_the_teacher(teacher: Path) -> None:
    method, images = make(teacher, feature_weight=3.0, output_weight=7.0).eval(), batch()
    expected = load_model(teacher / "model.safetensors").generators["a2b"]
    found = method(images)
    torch.testing.assert_close(found.teacher_b, expected(images["a"]))
    losses = method.generator_loss(found)
    assert losses.keys() == {"adversarial", "output", "features"}
    torch.testing.assert_close(losses["output"], 7 * (found.fake_b - found.teacher_b).abs().mean())
    maps = zip(method.generator.features(images["a"])[1:], expected.features(images["a"])[1:], strict=True)
    distances = []
    for convolution, (of_student, of_teacher) in zip(method.to_teacher, maps, strict=True):
        weight, bias = convolution.weight[:, :, 0, 0], convolution.bias[:, None, None]
        mapped = torch.einsum("oc,nchw->nohw", weight, of_student) + bias
        distances.append((mapped - of_teacher).square().mean())
    torch.testing.assert_close(losses["features"], 3 * sum(distances) / len(distances))


def test_gradients_reach_the_student_and_its_convolutions_only(teacher: Path) -> None:
    method = make(teacher).train()
    assert not method.teacher.training
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    sum(method.generator_loss(method(batch())).values()).backward()
    assert all(weight.grad is not None for weight in method.players()["generator"].parameters())
    assert all(weight.grad is None for weight in method.teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in method.teacher.state_dict().items())
    mine = {id(weight) for player in method.players().values() for weight in player.parameters()}
    assert not mine & {id(weight) for weight in method.teacher.parameters()}


def test_a_student_of_another_backbone_learns_from_the_output_alone(tmp_path: Path) -> None:
    teacher = model_of(tmp_path / "teacher.safetensors", a2b="resnet:blocks=1,width=8")
    with pytest.raises(UsageError, match=r"'unet' and of the teacher, 'resnet', differ .* feature_weight=0"):
        make(teacher)
    method = make(teacher, feature_weight=0.0)
    assert method.generator_loss(method(batch())).keys() == {"adversarial", "output"}


def test_a_teacher_with_two_directions_is_asked_for_one(tmp_path: Path) -> None:
    path = model_of(tmp_path / "both.safetensors", a2b="resnet:blocks=1,width=4", b2a="resnet:blocks=1,width=4")
    both = load_model(path).generators
    for to, direction in ((None, "a2b"), ("zebra", "a2b"), ("horse", "b2a")):
        method = make(path, student="resnet:blocks=1,width=2", teacher_to=to)
        one = batch()["a"]
        assert torch.equal(method.teacher(one), both[direction](one))
    with pytest.raises(UsageError, match="unknown domain to translate to 'zbra'; did you mean 'zebra'"):
        make(path, teacher_to="zbra")


@pytest.mark.parametrize(
    ("generator", "options", "message"),
    [
        ("resnet:blocks=1,width=4", {"channels": (1, 3)}, r"translates 3 channels to 3.* use channels=.3, 3."),
        ("unet:depth=4,width=4,latent=2", {}, "takes a latent"),
        ("unet:depth=5,width=4", {"size": 16, "student": "unet:depth=4,width=4"}, "multiple of 32 px.*image_size=32"),
    ],
)
def test_a_teacher_that_does_not_fit_is_named(tmp_path: Path, generator: str, options: dict, message: str) -> None:
    teacher = model_of(tmp_path / "teacher.safetensors", a2b=generator)
    with pytest.raises(UsageError, match=message):
        make(teacher, **options)


def test_a_teacher_is_needed() -> None:
    with pytest.raises(UsageError, match="distill needs a trained model; give teacher=MODEL"):
        make("")
    with pytest.raises(UsageError, match="generates images from a latent"):
        make("flowers")
