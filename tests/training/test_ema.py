"""The mean of weights: its arithmetic, and which files have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from i2i.images.reading import read
from i2i.inference.translator import Translator
from i2i.training.checkpoint import load_state
from i2i.training.ema import ModelEMA
from support.runs import assert_equal_states, trainer


def test_the_ema_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(4.0)
    average = ModelEMA({"a2b": network}, decay=0.25)
    expected = 4.0
    # The share of the past is (1 + n) / (10 + n) until that is more than the decay: 2/11, 3/12, and then 1/4.
    for value, past in ((1.0, 2 / 11), (-3.0, 0.25), (8.0, 0.25), (0.5, 0.25)):
        network.weight.data.fill_(value)
        average.update()
        expected = past * expected + (1 - past) * value
        assert average.networks["a2b"].weight.item() == pytest.approx(expected)
        assert network.weight.item() == value
    assert int(average.updates) == 4
    assert not any(weight.requires_grad for weight in average.parameters())


def test_buffers_are_those_of_the_network() -> None:
    norm = nn.BatchNorm2d(2)
    average = ModelEMA({"a2b": norm}, decay=0.9)
    norm(torch.randn(4, 2, 3, 3) * 3 + 1)
    average.update()
    assert torch.equal(average.networks["a2b"].running_var, norm.running_var)
    assert int(average.networks["a2b"].num_batches_tracked) == 1


def test_averaged_weights_are_swapped_in_and_out() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(2.0)
    average = ModelEMA({"a2b": network}, decay=0.9)
    network.weight.data.fill_(6.0)
    with average.swapped_in():
        assert network.weight.item() == 2.0
        assert average.networks["a2b"].weight.item() == 6.0
    with pytest.raises(RuntimeError, match="shapes"), average.swapped_in():
        network(torch.ones(1, 2))
    assert network.weight.item() == 6.0
    assert average.networks["a2b"].weight.item() == 2.0


def test_model_file_and_samples_use_the_ema_and_the_checkpoint_has_both(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, ema_decay=0.9, lr=0.01, validate_every=6).fit()
    state, model = load_state(tmp_path / "state.pt"), load_file(tmp_path / "model.safetensors")
    prefix = "networks.a2b."
    mean = {name.removeprefix(prefix): x for name, x in state["ema"].items() if name.startswith(prefix)}
    assert {f"a2b.{name}" for name in mean} == model.keys()
    assert all(torch.equal(model[f"a2b.{name}"], x) for name, x in mean.items())
    own = {name.removeprefix("generator."): x for name, x in state["method"].items()}
    assert max((own[name] - x).abs().max().item() for name, x in mean.items() if name.endswith("weight")) > 1e-3
    assert int(state["ema"]["updates"]) == 6
    assert_equal_states(load_file(tmp_path / "best.safetensors"), model)
    grid = read(tmp_path / "samples" / "000006.png").pixels
    drawn, given = Translator.load(tmp_path, device="cpu")(grid[26:58, 4:36]), grid[26:58, 40:72]
    assert np.abs(drawn.astype(int) - given).max() <= 1


@pytest.mark.parametrize("generator", ["unet:depth=4,width=4", "unet:depth=4,width=4,norm=virtual"])
def test_ema_resumes_exactly(generator: str, pairs: Path, tmp_path: Path) -> None:
    settings = {"ema_decay": 0.9, "lr": 0.01, "generator": generator, "vbn_batch": 3, "schedule": "constant"}
    trainer(pairs, tmp_path / "whole", **settings).fit()
    trainer(pairs, tmp_path / "halves", steps=3, **settings).fit()
    trainer(pairs, tmp_path / "halves", resume=True, **settings).fit()
    assert_equal_states(*(load_state(tmp_path / name / "state.pt")["ema"] for name in ("whole", "halves")))
    assert_equal_states(*(load_file(tmp_path / name / "model.safetensors") for name in ("whole", "halves")))


def test_an_ema_started_mid_run_starts_from_the_current_weights(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=3, lr=0.01).fit()
    one = trainer(pairs, tmp_path, ema_decay=0.999, lr=0.01, steps=100, resume=True)
    assert one.ema is not None
    begun = {name: weight.detach().clone() for name, weight in one.method.generators()["a2b"].named_parameters()}
    mean = dict(one.ema.networks["a2b"].named_parameters())
    assert all(torch.equal(mean[name], weight) for name, weight in begun.items())
    one.train_step({name: tensor[None] for name, tensor in one.dataset[3].items()})
    for name, weight in one.method.generators()["a2b"].named_parameters():
        assert not torch.equal(weight, begun[name])
        torch.testing.assert_close(mean[name], begun[name] * 2 / 11 + weight.detach() * 9 / 11)
