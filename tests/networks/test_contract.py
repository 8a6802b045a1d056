"""Contracts of plug-in networks are checked before training, and sizes and depths that don't fit are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from i2i import Backbones, Discriminator, Generator, Spec, UsageError, discriminators, generators, translate
from i2i.cli import main
from i2i.networks import LatentGenerator, build_generator, latent_generators
from i2i.networks.virtual_batch_norm import VirtualBatchNorm


class FunctionGenerator(Generator):
    """A generator whose forward is a function of the image."""

    def __init__(self, in_channels: int, out_channels: int, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Any:
        return self.function(x * self.weight)


class FunctionDiscriminator(Discriminator):
    """A discriminator whose forward is a function of the image."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class RepeatLatent(LatentGenerator):
    """A generator of flat images, whose grey level is the first value of the latent."""

    def __init__(self, out_channels: int, image_size: int, *, scale: int = 1, latent: int = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, z: Tensor) -> Tensor:
        side = self.image_size * self.scale
        return z[:, :1, None, None].expand(-1, self.out_channels, side, side)


@pytest.fixture
def register() -> Iterator[Callable[[Any, str, Callable[..., Any]], None]]:
    """Register a builder for the length of a test."""
    registered: list[tuple[Any, str]] = []

    def add(registry: Any, name: str, builder: Callable[..., Any]) -> None:
        registry.register(name)(builder)
        registered.append((registry, name))

    yield add
    for registry, name in registered:
        del registry._builders[name]


def generator_of(function: Callable[[Tensor], Any]) -> Callable[[int, int], Generator]:
    return lambda in_channels, out_channels: FunctionGenerator(in_channels, out_channels, function)


def out_of_range(x: Tensor) -> Tensor:
    raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: x[..., ::2],
            r"generator 'plugin' \(FunctionGenerator\) returns \(2, 3, 32, 16\) for \(2, 3, 32, 32\); .* here \(2, 3,",
        ),
        (lambda x: x[:, :1], r"returns \(2, 1, 32, 32\).*its forward must return \(N, out_channels, H, W\)"),
        (lambda x: (x, x), "returns a tuple for"),
        (out_of_range, r"fails on \(2, 3, 32, 32\): IndexError: list index out of range"),
        (lambda x: nn.functional.conv2d(x, torch.ones(3, 5, 1, 1)), "fails on .* to have 5 channels"),
    ],
)
def test_a_generator_that_breaks_the_contract_is_reported(function: Any, message: str, register: Any) -> None:
    register(generators, "plugin", generator_of(function))
    with pytest.raises(UsageError, match=message):
        Backbones(Spec("plugin"), Spec("patchgan"), 32).generator(3, 3)


@pytest.mark.parametrize("registry", [generators, latent_generators, discriminators])
def test_a_class_without_the_base_class_is_refused_when_registered(registry: Any) -> None:
    with pytest.raises(UsageError, match=f"{registry.kind} 'plain' is a plain Conv2d; make it a subclass of i2i.*or, "):
        registry.register("plain")(nn.Conv2d)
    assert "plain" not in registry


def test_a_module_without_the_base_class_is_refused_when_built(register: Any) -> None:
    register(generators, "plain", lambda in_channels, out_channels: nn.Conv2d(in_channels, out_channels, 1))
    register(discriminators, "plain", lambda in_channels: nn.Conv2d(in_channels, 1, 1))
    backbones = Backbones(Spec("plain"), Spec("plain"), 32)
    with pytest.raises(UsageError, match="generator 'plain' is a plain Conv2d; make it a subclass of i2i"):
        backbones.generator(3, 3)
    with pytest.raises(UsageError, match="discriminator 'plain' is a plain Conv2d; make it a subclass of i2i"):
        backbones.discriminator(3)


class Minimal(Generator):
    """A backbone that declares nothing about itself."""

    def __init__(self, in_channels: int, out_channels: int, latent: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), VirtualBatchNorm(out_channels), nn.Tanh())

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return self.layers(x)


def test_what_a_backbone_leaves_unset_is_supplied_when_it_is_built(register: Any) -> None:
    register(generators, "minimal", Minimal)
    register(latent_generators, "repeat", RepeatLatent)
    generator = Backbones(Spec("minimal"), Spec("patchgan"), 32).generator(3, 2)
    assert (generator.in_channels, generator.out_channels, generator.latent) == (3, 2, 0)
    assert str(generator.spec) == "minimal:in_channels=3,out_channels=2,latent=0"
    x = torch.rand(2, 3, 8, 8)
    generator(x)
    assert torch.equal(generator.reference.batch, x)
    assert Backbones(Spec("minimal"), Spec("patchgan"), 32).generator(3, 2, latent=5).latent == 5
    drawn = Backbones(Spec("repeat"), Spec("dcgan"), 32).latent_generator(3)
    assert (drawn.latent, drawn.classes, drawn.out_channels, drawn.image_size) == (4, 0, 3, 32)


def test_a_backbone_that_declares_nothing_is_trained_and_translates(pairs: Path, tmp_path: Path, register: Any) -> None:
    register(generators, "minimal", Minimal)
    run = tmp_path / "run"
    words = ["--generator", "minimal", "--discriminator", "patchgan:layers=1,width=4", "--run", str(run)]
    assert main(["train", "pix2pix", str(pairs), *words, "--image-size", "32", "--steps", "2"]) == 0
    image = Image.new("RGB", (31, 17), (90, 120, 200))
    assert translate(image, run / "model.safetensors").size == (31, 17)


def test_what_a_backbone_sets_itself_is_kept(register: Any) -> None:
    class Grey(Minimal):
        out_channels = 1

        def __init__(self, in_channels: int) -> None:
            super().__init__(in_channels, 1)
            self.latent = 7

    register(generators, "grey", Grey)
    generator = build_generator("grey", in_channels=3, out_channels=1)
    assert (generator.in_channels, generator.out_channels, generator.latent) == (3, 1, 7)


def test_an_attribute_that_no_option_supplies_is_asked_for_when_the_network_is_built(register: Any) -> None:
    class Grey(Minimal):
        def __init__(self, in_channels: int) -> None:
            super().__init__(in_channels, 1)

    class Fixed(LatentGenerator):
        def __init__(self, out_channels: int, image_size: int) -> None:
            super().__init__()

    register(generators, "grey", Grey)
    register(latent_generators, "fixed", Fixed)
    message = (
        r"generator 'grey' \(Grey\) has no out_channels; give its constructor that option, or set self.out_channels"
    )
    with pytest.raises(UsageError, match=message):
        build_generator("grey", in_channels=3)
    with pytest.raises(UsageError, match=r"latent generator 'fixed' \(Fixed\) has no latent; give"):
        Backbones(Spec("fixed"), Spec("dcgan"), 32).latent_generator(3)


def test_a_generator_of_other_channels_is_reported(register: Any) -> None:
    class Grey(FunctionGenerator):
        out_channels = 1

        def __init__(self, in_channels: int) -> None:
            super().__init__(in_channels, 1, lambda x: x[:, :1])

    register(generators, "grey", Grey)
    with pytest.raises(
        UsageError, match="has out_channels=1, and here it is 3; give its constructor the option out_ch"
    ):
        Backbones(Spec("grey"), Spec("patchgan"), 32).generator(3, 3)


@pytest.mark.parametrize("function", [lambda x: x.mean(), lambda x: x[:1], lambda x: {"logits": x}, lambda x: []])
def test_a_discriminator_that_returns_no_logits_is_reported(function: Any, register: Any) -> None:
    register(discriminators, "plugin", lambda in_channels: FunctionDiscriminator(function))
    with pytest.raises(UsageError, match=r"discriminator 'plugin' .* must return logits \(N, ...\), or a list of them"):
        Backbones(Spec("unet"), Spec("plugin"), 32).discriminator(3)


def test_a_latent_generator_of_another_size_is_reported(register: Any) -> None:
    register(latent_generators, "plugin", RepeatLatent)
    with pytest.raises(UsageError, match=r"returns \(2, 3, 64, 64\) for \(2, 4\)"):
        Backbones(Spec("plugin", {"scale": 2}), Spec("dcgan"), 32).latent_generator(3)
    with pytest.raises(UsageError, match="has classes=0, and here it is 5; give its constructor the option classes"):
        Backbones(Spec("plugin"), Spec("dcgan"), 32, classes=5).latent_generator(3)
    Backbones(Spec("plugin"), Spec("dcgan"), 32).latent_generator(3)


def test_the_check_leaves_the_random_state_and_the_network_alone(register: Any) -> None:
    def needs_values(x: Tensor) -> Tensor:  # so that it can't run on the meta device
        return x if float(x.sum()) > 1 else -x + torch.rand(())

    register(generators, "plugin", generator_of(needs_values))
    register(discriminators, "plugin", lambda in_channels: FunctionDiscriminator(lambda x: [x, x[..., ::2]]))
    before = torch.get_rng_state()
    backbones = Backbones(Spec("plugin"), Spec("plugin"), 32)
    assert backbones.generator(3, 3).training
    backbones.discriminator(3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("spec", "size", "said"),
    [
        ("unet:depth=99", 256, r"depth from 2 to 12.*; the largest depth that fits 256 px is 8: unet:depth=8$"),
        ("unet:depth=9", 256, r"needs a multiple of 512; .*the largest depth that fits 256 px is 8: unet:depth=8$"),
        ("unet:depth=7,width=8", 96, r"the largest depth that fits 96 px is 5: unet:depth=5$"),
        ("coarse_to_fine:depth=8", 256, r"the largest depth that fits 256 px is 6: coarse_to_fine:depth=6$"),
        (
            "unet:depth=4",
            250,
            r"image size 250: 'unet:depth=4' needs a multiple of 16; use image_size=256, or generator=resnet ",
        ),
    ],
)
def test_a_depth_that_does_not_fit_names_the_largest_that_does(spec: str, size: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Backbones(Spec.parse(spec), Spec("patchgan"), size).generator(3, 3)


def test_a_broken_contract_is_reported_before_training(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], register: Any
) -> None:
    register(generators, "half", generator_of(lambda x: x[..., ::2]))
    words = ["--generator", "half", "--image-size", "32", "--steps", "1", "--run", str(tmp_path / "run")]
    assert main(["train", "pix2pix", str(pairs), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("i2i: generator 'half' (FunctionGenerator) returns (2, 3, 32, 16)")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "spec", ["resnet:blocks=1000000000", "refiner:blocks=1000000000", "coarse_to_fine:enhancer_blocks=1000000000"]
)
def test_a_network_of_a_billion_blocks_is_refused_before_it_is_built(spec: str) -> None:
    with pytest.raises(UsageError, match="from 1 to 1000"):
        Backbones(Spec.parse(spec), Spec("patchgan"), 256).generator(3, 3)


@pytest.mark.parametrize("option", ["layers", "scales"])
def test_a_patchgan_of_a_billion_layers_is_refused_before_it_is_built(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} from"):
        Backbones(Spec("unet"), Spec.parse(f"patchgan:{option}=1000000000"), 256).discriminator(3)
