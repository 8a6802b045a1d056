"""Networks from outside the package are tried before training; depths that don't fit are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i import Backbones, Discriminator, Generator, Spec, UsageError, discriminators, generators
from i2i.cli import main
from i2i.networks import LatentGenerator, latent_generators


class Own(Generator):
    """A generator whose forward is a function of the image."""

    def __init__(self, in_channels: int, out_channels: int, does: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.does = in_channels, out_channels, does
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Any:
        return self.does(x * self.weight)


class Judge(Discriminator):
    """A discriminator whose forward is a function of the image."""

    def __init__(self, does: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.does = does

    def forward(self, x: Tensor) -> Any:
        return self.does(x)


class Drawer(LatentGenerator):
    """A generator of empty images from a latent."""

    def __init__(self, out_channels: int, image_size: int, *, large: int = 1, latent: int = 4) -> None:
        super().__init__()
        self.latent, self.classes, self.out_channels, self.image_size = latent, 0, out_channels, image_size
        self.large = large

    def forward(self, z: Tensor) -> Tensor:
        side = self.image_size * self.large
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


def broken(x: Tensor) -> Tensor:
    raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (
            lambda x: x[..., ::2],
            r"generator 'own' \(Own\) gives \(2, 3, 32, 16\) for \(2, 3, 32, 32\); .* here \(2, 3,",
        ),
        (lambda x: x[:, :1], r"gives \(2, 1, 32, 32\).*its forward must give \(N, out_channels, H, W\)"),
        (lambda x: (x, x), "gives a tuple for"),
        (broken, r"fails on \(2, 3, 32, 32\): IndexError: list index out of range"),
        (lambda x: nn.functional.conv2d(x, torch.ones(3, 5, 1, 1)), "fails on .* to have 5 channels"),
    ],
)
def test_a_generator_that_breaks_the_contract_is_named(does: Any, said: str, register: Any) -> None:
    register(generators, "own", lambda in_channels, out_channels: Own(in_channels, out_channels, does))
    with pytest.raises(UsageError, match=said):
        Backbones(Spec("own"), Spec("patchgan"), 32).generator(3, 3)


def test_a_plain_module_is_named(register: Any) -> None:
    register(generators, "plain", lambda in_channels, out_channels: nn.Conv2d(in_channels, out_channels, 1))
    register(discriminators, "plain", lambda in_channels: nn.Conv2d(in_channels, 1, 1))
    networks = Backbones(Spec("plain"), Spec("plain"), 32)
    with pytest.raises(UsageError, match="generator 'plain' builds a plain Conv2d; make its class a subclass of i2i"):
        networks.generator(3, 3)
    with pytest.raises(UsageError, match="discriminator 'plain' builds a plain Conv2d; make its class a subclass"):
        networks.discriminator(3)


def test_a_generator_that_does_not_say_its_channels_is_named(register: Any) -> None:
    class Silent(Own):
        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__(in_channels, out_channels, lambda x: x)
            del self.out_channels

    register(generators, "silent", Silent)
    with pytest.raises(UsageError, match=r"'silent' .* has no out_channels; set self.out_channels = out_channels"):
        Backbones(Spec("silent"), Spec("patchgan"), 32).generator(3, 3)


@pytest.mark.parametrize("does", [lambda x: x.mean(), lambda x: x[:1], lambda x: {"logits": x}, lambda x: []])
def test_a_discriminator_that_gives_no_logits_is_named(does: Any, register: Any) -> None:
    register(discriminators, "own", lambda in_channels: Judge(does))
    with pytest.raises(UsageError, match=r"discriminator 'own' .* must give logits \(N, ...\), or a list of them"):
        Backbones(Spec("unet"), Spec("own"), 32).discriminator(3)


def test_a_latent_generator_of_another_size_is_named(register: Any) -> None:
    register(latent_generators, "own", Drawer)
    networks = Backbones(Spec("own", {"large": 2}), Spec("dcgan"), 32)
    with pytest.raises(UsageError, match=r"gives \(2, 3, 64, 64\) for \(2, 4\)"):
        networks.latent_generator(3)
    with pytest.raises(UsageError, match="has classes=0, and here it is 5"):
        Backbones(Spec("own"), Spec("dcgan"), 32, classes=5).latent_generator(3)
    Backbones(Spec("own"), Spec("dcgan"), 32).latent_generator(3)


def test_what_keeps_the_contract_is_taken_and_leaves_the_random_state_alone(register: Any) -> None:
    def values(x: Tensor) -> Tensor:  # which can't be run without values
        return x if float(x.sum()) > 1 else -x + torch.rand(())

    register(generators, "own", lambda in_channels, out_channels: Own(in_channels, out_channels, values))
    register(discriminators, "own", lambda in_channels: Judge(lambda x: [x, x[..., ::2]]))
    before = torch.get_rng_state()
    networks = Backbones(Spec("own"), Spec("own"), 32)
    assert networks.generator(3, 3).training
    networks.discriminator(3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("spec", "size", "said"),
    [
        ("unet:depth=99", 256, r"depth from 2 to 12.*; the largest depth that fits 256 px is 8: unet:depth=8$"),
        ("unet:depth=9", 256, r"needs a multiple of 512; .*the largest depth that fits 256 px is 8: unet:depth=8$"),
        ("unet:depth=7,width=8", 96, r"the largest depth that fits 96 px is 5: unet:depth=5$"),
        ("coarse_to_fine:depth=8", 256, r"the largest depth that fits 256 px is 6: coarse_to_fine:depth=6$"),
        ("unet:depth=4", 250, r"image size 250: 'unet:depth=4' needs a multiple of 16; use 256, or .* of 4\)$"),
    ],
)
def test_a_depth_that_does_not_fit_names_the_largest_that_does(spec: str, size: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Backbones(Spec.parse(spec), Spec("patchgan"), size).generator(3, 3)


def test_a_wrong_network_ends_training_before_it_begins(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], register: Any
) -> None:
    register(
        generators, "half", lambda in_channels, out_channels: Own(in_channels, out_channels, lambda x: x[..., ::2])
    )
    words = ["--generator", "half", "--image-size", "32", "--steps", "1", "--run", str(tmp_path / "run")]
    assert main(["train", "pix2pix", str(pairs), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("i2i: generator 'half' (Own) gives (2, 3, 32, 16)")
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
