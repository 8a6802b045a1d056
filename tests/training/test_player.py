"""A player: gradient clipping and float16; and gradient accumulation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from i2i.config import TrainConfig
from i2i.data import load
from i2i.errors import UsageError
from i2i.methods import methods
from i2i.networks.layers import BatchNorm
from i2i.training.checkpoint import load_state
from i2i.training.micro_batches import MicroBatches
from i2i.training.trainer import Trainer
from support.runs import states_equal, trainer

ALONE = {"generator": "unet:depth=4,width=4,norm=instance,dropout=0"}
ALONE["discriminator"] = "patchgan:layers=1,width=4,norm=instance"
ALONE_CUT = {**ALONE, "generator": "resnet:blocks=1,width=4,norm=instance,init=normal"}


class Images(NamedTuple):
    real_a: Tensor
    fake_b: Tensor
    mirrored: bool = False


@pytest.fixture
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def weights_after(one: Trainer, *, steps: int = 2) -> dict[str, Tensor]:
    """Those of a run that takes some steps in float64, its weights as large as in a run that has begun."""
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in one.method.parameters():
            if weight.dim() > 1:
                torch.nn.init.xavier_normal_(weight)
    batch_size = one.settings.batch_size
    for batch in load(one.dataset, batch_size=batch_size, start=0, steps=steps, workers=0):
        one.train_step({name: value.double() for name, value in batch.items()})
    return {name: weight.detach().clone() for name, weight in one.method.named_parameters()}


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.usefixtures("_in_float64")
@pytest.mark.parametrize(
    ("method", "options", "train"),
    [("pix2pix", {}, ALONE), ("cyclegan", {"pool_size": 0}, ALONE), ("cut", {"patches": 256}, ALONE_CUT)],
)
def test_gradient_accumulation_equals_the_whole_batch(
    method: str,
    options: dict[str, object],
    train: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    data = request.getfixturevalue("pairs" if methods[method].data == "paired" else "unpaired")
    settings = {"optimizer": "sgd", "lr": 0.002, "batch_size": 4, "schedule": "constant", **train}
    settings |= {"images": {"image_size": 16}}  # of whose every patch is contrasted with each
    whole = weights_after(trainer(data, tmp_path, method, options=options, **settings))
    elsewhere = weights_after(trainer(data, tmp_path, method, options=options, **{**settings, "batch_size": 2}))
    assert apart(whole, elsewhere) > 1e-5
    for parts in (2, 4) if method == "pix2pix" else (4,):
        cut = weights_after(trainer(data, tmp_path, method, options=options, gradient_accumulation=parts, **settings))
        print(f"{method} in {parts} parts: {apart(whole, cut):.1e}; of half the batch: {apart(whole, elsewhere):.1e}")
        assert apart(whole, cut) < 1e-8, parts  # PatchNCE counts in float32


def test_losses_of_gradient_accumulation_are_those_of_the_whole_batch(pairs: Path, tmp_path: Path) -> None:
    whole, cut = (trainer(pairs, tmp_path, batch_size=4, gradient_accumulation=parts, **ALONE) for parts in (1, 4))
    batch = next(load(whole.dataset, batch_size=4, start=0, steps=1, workers=0))
    one, other = whole.train_step(batch), cut.train_step(batch)
    assert one.keys() == other.keys()
    assert {term: value.item() for term, value in other.items()} == pytest.approx(
        {term: value.item() for term, value in one.items()}, rel=1e-4
    )


def test_images_of_a_micro_batch_stay_the_same_in_each_turn_and_after_their_generator_has_moved() -> None:
    weight = torch.tensor(1.0, requires_grad=True)

    def make(batch: dict[str, Tensor], _: bool) -> Images:
        return Images(batch["a"], weight * batch["a"] + torch.rand(len(batch["a"])), mirrored=True)

    parts = MicroBatches({"a": torch.arange(6.0)}, count=3, make=make, device=torch.device("cpu"))
    assert len(parts) == 3
    first, second, third = ([(parts.images(index), torch.rand(1)) for index in range(3)] for _ in range(3))
    for index in range(3):
        assert first[index][0].real_a.tolist() == [2 * index, 2 * index + 1]
        assert torch.equal(first[index][0].fake_b, second[index][0].fake_b)
        assert second[index][0].fake_b.requires_grad
    # What is drawn beside them is drawn anew.
    assert len({number.item() for turn in (first, second, third) for _, number in turn}) == 9
    parts.keep()
    with torch.no_grad():
        weight.fill_(9.0)
    for index in range(3):
        kept = parts.images(index)
        assert torch.equal(kept.fake_b, first[index][0].fake_b)
        assert not kept.fake_b.requires_grad
        assert kept.mirrored is True
    assert torch.equal(parts.last().fake_b, first[2][0].fake_b)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_running_statistics_move_once_a_step_with_gradient_accumulation(
    parts: int, unpaired: Path, tmp_path: Path
) -> None:
    specs = {"generator": "dcgan:width=4", "discriminator": "dcgan:width=4"}
    one = trainer(unpaired / "trainB", tmp_path, "gan", batch_size=8, gradient_accumulation=parts, **specs)
    for batch in load(one.dataset, batch_size=8, start=0, steps=3, workers=0):
        one.train_step(batch)
    state = one.players["generator"].networks.state_dict()
    tracked = {int(value) for name, value in state.items() if name.endswith("num_batches_tracked")}
    assert tracked == {3}
    assert all((value != 0).all() for name, value in state.items() if name.endswith("running_mean"))
    assert all(module.track_running_stats for module in one.method.modules() if isinstance(module, BatchNorm))


def test_running_statistics_are_those_of_the_first_micro_batch(unpaired: Path, tmp_path: Path) -> None:
    specs = {"generator": "dcgan:width=4", "discriminator": "dcgan:width=4"}
    one, fresh = (
        trainer(unpaired / "trainB", tmp_path, "gan", batch_size=8, gradient_accumulation=2, **specs) for _ in range(2)
    )
    batch = next(load(one.dataset, batch_size=8, start=0, steps=1, workers=0))
    torch.manual_seed(3)
    one.train_step(batch)
    torch.manual_seed(3)
    fresh.method.train()({"b": batch["b"][:4]})
    alone = dict(fresh.players["generator"].networks.named_buffers())
    assert len(alone) > 0
    for name, value in one.players["generator"].networks.named_buffers():
        assert torch.equal(value, alone[name]), name


def test_a_batch_size_that_micro_batches_cannot_divide_is_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch_size is 4; gradient_accumulation=3 does not divide it"):
        TrainConfig(batch_size=4, gradient_accumulation=3)
    with pytest.raises(UsageError, match="batch norm of a latent needs two images or more"):
        trainer(
            pairs.parent / "boxes" / "train",
            tmp_path,
            "gan",
            generator="dcgan:width=4",
            batch_size=2,
            gradient_accumulation=2,
        )


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_a_longer_gradient_is_clipped(clip: float, pairs: Path, tmp_path: Path) -> None:
    settings = {"optimizer": "sgd", "lr": 1.0, "momentum": 0.0, "schedule": "constant"}
    moves = {}
    for name, limit in (("free", 0.0), ("clipped", clip)):
        one = trainer(pairs, tmp_path, clip=limit, **ALONE, **settings)
        before = torch.nn.utils.parameters_to_vector(one.players["generator"].networks.parameters()).detach().clone()
        # Without the adversarial term the generator's gradient doesn't depend on how the discriminator has moved.
        batch = {key: tensor[None] for key, tensor in one.dataset[0].items()}
        images = one.method.train()(batch)
        player = one.players["generator"]
        player.zero_grad()
        torch.autograd.backward((images.fake_b - images.real_b).square().sum())
        player.step(lr=1.0)
        moves[name] = torch.nn.utils.parameters_to_vector(one.players["generator"].parameters()).detach() - before
    length = moves["free"].norm().item()
    assert length > 1
    torch.testing.assert_close(moves["clipped"], moves["free"] * min(1.0, clip / length), rtol=1e-4, atol=1e-6)


def test_two_runs_of_one_seed_are_equal_with_deterministic_algorithms(pairs: Path, tmp_path: Path) -> None:
    try:
        for name in ("one", "two"):
            trainer(pairs, tmp_path / name, deterministic=True, ema_decay=0.9, batch_size=2, seed=3, steps=3).fit()
            assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    states_equal(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_float16_trains_with_a_scaler_that_is_resumed(clip: float, pairs: Path, tmp_path: Path) -> None:
    settings = {"precision": "fp16", "schedule": "constant", "batch_size": 2, "clip": clip, "steps": 10}
    trainer(pairs, tmp_path / "whole", **settings).fit()
    trainer(pairs, tmp_path / "halves", **{**settings, "steps": 6}).fit()
    fresh = trainer(pairs, tmp_path / "fresh", **settings)
    begun = {name: weight.detach().clone() for name, weight in fresh.method.named_parameters()}
    one = trainer(pairs, tmp_path / "halves", resume=True, **settings)
    kept = load_state(tmp_path / "halves" / "state.pt")["optimizers"]
    for name, player in one.players.items():
        assert player.scaler.state_dict() == kept[name]["scaler"] != fresh.players[name].scaler.state_dict()
    one.fit()
    states_equal(tmp_path / "whole", tmp_path / "halves")
    for name, weight in one.method.named_parameters():
        assert weight.dtype == torch.float32
        assert weight.isfinite().all()
        assert weight.dim() == 1 or not torch.equal(weight, begun[name]), name


GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("options", [{"r1": 1.0}, {"adversarial": "wasserstein", "gradient_penalty": 10.0}])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_float16_trains_a_discriminator_with_a_penalty(
    options: dict[str, object], norm: str, device: str, pairs: Path, tmp_path: Path
) -> None:
    specs = {"discriminator": f"patchgan:layers=1,width=8,norm={norm}", "device": device}
    one = trainer(pairs, tmp_path, precision="fp16", options=options, **specs)
    begun = [weight.detach().clone() for weight in one.players["discriminator"].parameters() if weight.dim() > 1]
    for batch in load(one.dataset, batch_size=1, start=0, steps=8, workers=0):
        one.train_step({name: tensor.to(device) for name, tensor in batch.items()})
    assert one.players["discriminator"].skipped == 0
    assert one.players["discriminator"].scaler.get_scale() >= 4096  # a few steps at the start may overflow
    now = [weight for weight in one.players["discriminator"].parameters() if weight.dim() > 1]
    assert not any(torch.equal(weight, was) for weight, was in zip(now, begun, strict=True))


def test_cut_in_float16_finds_a_loss_scale_within_some_steps(unpaired: Path, tmp_path: Path) -> None:
    # Its projections begin with vectors so short that the first gradients overflow at the first scales.
    specs = {"generator": "resnet:blocks=1,width=8,init=xavier", "discriminator": "patchgan:layers=1,width=8"}
    one = trainer(unpaired, tmp_path, "cut", precision="fp16", steps=100, images={"image_size": 16}, **specs)
    scaler, left_out = one.players["generator"].scaler, 0
    for batch in load(one.dataset, batch_size=1, start=0, steps=24, workers=0):
        before = scaler.get_scale()
        one.train_step(batch)
        left_out += scaler.get_scale() < before
    print(f"left out {left_out} steps; scale {scaler.get_scale()}")
    assert 0 < left_out <= 13
    assert scaler.get_scale() >= 8
    assert one.players["generator"].skipped == 0


def test_a_float16_step_whose_gradients_overflow_is_skipped(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, precision="fp16")
    before = {name: weight.detach().clone() for name, weight in one.players["generator"].networks.named_parameters()}
    player = one.players["generator"]
    player.zero_grad()
    for weight in one.players["generator"].networks.parameters():
        weight.grad = torch.full_like(weight, float("inf"))
    player.scaler.scale(torch.zeros(()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        player.step(lr=1.0)
    assert player.skipped == 1
    assert all(
        torch.equal(weight, before[name]) for name, weight in one.players["generator"].networks.named_parameters()
    )
    assert player.scaler.get_scale() == 32768.0
