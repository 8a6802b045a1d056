import copy
import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.errors import UsageError
from i2i.model_file import Model, load_model, save_model
from i2i.networks import build_network, registry_of
from i2i.networks.virtual_batch_norm import VirtualBatchNorm, hold_reference
from i2i.spec import Spec

SMALL = {"width": 4, "depth": 2, "blocks": 1, "enhancers": 1, "enhancer_blocks": 1, "dropout": 0, "latent": 6}
GIVEN = {"in_channels": 3, "out_channels": 3, "image_size": 16}


def normed(way, name, norm="virtual"):
    """The spec of a small network of a registry with a norm, or None where it has none."""
    parameters = inspect.signature(registry_of(way)[name]).parameters
    wanted = {**SMALL, **GIVEN, "norm": norm} | ({"latent": 0} if way == "a2b" else {})
    return Spec(name, {n: v for n, v in wanted.items() if n in parameters}) if "norm" in parameters else None


BACKBONES = [(way, name) for way in ("a2b", "z2b") for name in registry_of(way) if normed(way, name)]
TRANSLATORS = [name for way, name in BACKBONES if way == "a2b"]


def build(way, name, norm="virtual"):
    torch.manual_seed(0)
    network = build_network(way, normed(way, name, norm))
    for parameter in network.parameters():  # so that what passes through is no fainter than what normalisation adds
        parameter.data *= 10 if parameter.dim() > 1 else 1
    return network


def given(way, count, *, seed=0):
    """Images, or latents."""
    return drawn(count, *((3, 16, 16) if way == "a2b" else (6,)), seed=seed)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Chain(nn.Module):
    """One layer after the other."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        hold_reference(self)

    def forward(self, x):
        return self.layers(x)


def alone(channels):
    """The layer alone, with a gain and a shift of its own for each channel."""
    layer = VirtualBatchNorm(channels)
    layer.weight.data, layer.bias.data = 1 + 0.3 * drawn(channels, seed=8), drawn(channels, seed=9)
    return Chain(layer), layer


def five_lines(x, reference, layer):
    """Salimans et al. 2016's code in float64, with the moments of a reference batch."""
    within = tuple(range(2, x.dim()))
    mean_r, square_r = reference.mean((0, *within), keepdim=True), reference.square().mean((0, *within), keepdim=True)
    mean_x, square_x = (m.mean(within, keepdim=True) if within else m for m in (x, x.square()))
    share = 1 / (len(reference) + 1)
    mean, square = share * mean_x + (1 - share) * mean_r, share * square_x + (1 - share) * square_r
    shape = (-1, *[1] * len(within))
    gain, shift = layer.weight.detach().double().view(shape), layer.bias.detach().double().view(shape)
    return gain * (x - mean) / torch.sqrt(layer.eps + square - mean.square()) + shift


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("count", "shape"), [(1, (3, 5, 4)), (4, (3, 5, 4)), (4, (3,))])
def test_the_layer_is_the_papers_five_lines(count, shape, train):
    network, layer = alone(3)
    network.train(train)
    reference, x = 2 * drawn(count, *shape) + 1, drawn(5, *shape, seed=1) - 0.5
    network(reference)
    expected = five_lines(x.double(), reference.double(), layer)
    torch.testing.assert_close(network(x).double(), expected, rtol=1e-4, atol=1e-5)


def test_the_reference_goes_through_the_network_by_its_own_statistics():
    # In the second layer, what counts is the reference batch as batch normalisation would have passed it on.
    first, convolution, second = layers = VirtualBatchNorm(3), nn.Conv2d(3, 2, 1), VirtualBatchNorm(2)
    network = Chain(*layers)
    reference, x = 2 * drawn(4, 3, 5, 4) + 1, drawn(2, 3, 5, 4, seed=1)
    network(reference)
    inner = F.batch_norm(reference, None, None, training=True)
    middle = five_lines(x.double(), reference.double(), first).float()
    expected = five_lines(convolution(middle).double(), convolution(inner).double(), second)
    torch.testing.assert_close(network(x).double(), expected.detach(), rtol=1e-4, atol=1e-5)


def test_a_large_reference_makes_it_batch_norm_with_the_references_statistics():
    two, x = 2 * drawn(2, 3, 5, 4) + 1, drawn(2, 3, 5, 4, seed=1)
    variance, mean = torch.var_mean(two, (0, 2, 3), correction=0)
    away = []
    for times in (10, 100, 5000):
        network, layer = alone(3)
        network(two.repeat(times, 1, 1, 1))
        expected = F.batch_norm(x, mean, variance, layer.weight, layer.bias, eps=layer.eps)
        away.append((network(x) - expected).abs().max().item())
    # The sample's share is 1 / (|R| + 1).
    assert away[0] > 0.01
    assert away[1] / away[0] == pytest.approx(21 / 201, rel=0.1)
    assert away[2] / away[0] == pytest.approx(21 / 10_001, rel=0.1)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_a_sample_depends_on_no_other_in_training_either(way, name, train):
    network = build(way, name).train(train)
    x, others = given(way, 3), given(way, 3, seed=1)
    with torch.no_grad():
        network(given(way, 4, seed=2))
        together = network(x)
        changed = network(torch.cat([x[:1], others[1:]]))
        apart = torch.cat([network(one[None]) for one in x])
    assert together.std() > 0.01
    torch.testing.assert_close(changed[0], together[0], rtol=0, atol=1e-6)
    # Apart from the rounding of convolutions, which depends on the batch's size.
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-5)
    assert (changed[1] - together[1]).abs().max() > 0.01


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_where_batch_norm_would_mix_the_samples(way, name):
    network = build(way, name, norm="batch").train()
    x, others = given(way, 3), given(way, 3, seed=1)
    with torch.no_grad():
        assert (network(torch.cat([x[:1], others[1:]]))[0] - network(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_training_and_evaluation_give_the_same(way, name):
    network = build(way, name)
    x = given(way, 3)
    with torch.no_grad():
        network(given(way, 4, seed=2))
        trained = network.train()(x)
        assert torch.equal(network.eval()(x), trained)
        assert torch.equal(network(x), trained)


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_the_reference_is_the_first_input_ever_seen(way, name):
    network = build(way, name)
    first, x = given(way, 4, seed=2), given(way, 3)
    with torch.no_grad():
        network(first.clone().requires_grad_())
        expected = network(x)
        assert torch.equal(network.reference.batch, first)
        for seed in range(3, 6):
            network.train(seed % 2 == 0)(given(way, 4, seed=seed))
        assert torch.equal(network.reference.batch, first)
        assert torch.equal(network(x), expected)
        other = build(way, name)
        other.load_state_dict({k: v for k, v in network.state_dict().items() if "reference" not in k}, strict=False)
        other(given(way, 4, seed=3))
        assert (other(x) - expected).abs().max() > 1e-3
    assert not network.reference.batch.requires_grad
    assert not any("reference" in key for key, _ in network.named_parameters())


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_it_comes_back_from_its_state(way, name):
    network, again = build(way, name), build(way, name)
    x = given(way, 3)
    with torch.no_grad():
        network(given(way, 4, seed=2))
        again(given(way, 4, seed=5))
        again.load_state_dict(network.state_dict())
        for mode in (True, False):
            assert torch.equal(again.train(mode)(x), network.train(mode)(x))
        # An evaluation before leaves nothing behind.
        again.load_state_dict(build(way, name).state_dict())
        again(given(way, 4, seed=3))
        again.load_state_dict(network.state_dict())
        assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("dtype", [None, torch.float16])
@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_it_comes_back_from_a_model_file(way, name, dtype, tmp_path):
    network = build(way, name)
    x = given(way, 3)
    with torch.no_grad():
        network(given(way, 4, seed=2))
        expected = network.eval()(x)
        save_model(tmp_path / "m.safetensors", Model({way: network}, ("a", "b"), {}, {}, 0), dtype=dtype)
        again = load_model(tmp_path / "m.safetensors").generators[way]
        if dtype is None:
            assert torch.equal(again.reference.batch, network.reference.batch)
            assert torch.equal(again(x), expected)
        else:
            assert again.reference.batch.dtype == torch.float32
            torch.testing.assert_close(again(x), expected, rtol=0, atol=0.02)


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_a_model_file_of_a_network_that_has_seen_nothing_opens(way, name, tmp_path):
    save_model(tmp_path / "m.safetensors", Model({way: build(way, name)}, ("a", "b"), {}, {}, 0))
    again = load_model(tmp_path / "m.safetensors").generators[way]
    x = given(way, 3)
    assert torch.equal(again(x), again(x))
    assert torch.equal(again.reference.batch, x)


def seen_by(layer, network, x):
    """How often a layer is used while the network is given an input."""
    calls = []
    handle = layer.register_forward_hook(lambda *_: calls.append(1))
    network(x)
    handle.remove()
    return len(calls)


def test_the_reference_goes_ahead_of_each_training_input_and_once_in_evaluation():
    layer = VirtualBatchNorm(3)
    network = Chain(nn.Conv2d(3, 3, 3), layer)
    x = drawn(2, 3, 8, 8)
    for mode, uses in ((True, [2, 2, 2]), (False, [2, 1, 1]), (True, [2, 2]), (False, [2, 1])):
        network.train(mode)
        assert [seen_by(layer, network, x) for _ in uses] == uses
    network.load_state_dict(network.state_dict())
    assert seen_by(layer, network, x) == 2


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_training_renews_the_references_statistics(way, name):
    network = build(way, name)
    x = given(way, 3)
    with torch.no_grad():
        network(given(way, 4, seed=2))
        network.eval()(x)
        layer = next(module for module in network.modules() if isinstance(module, VirtualBatchNorm))
        before = layer.mean.clone()
    network.train()
    network(x).square().mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 10 * parameter.grad
        after = network(x)
        assert (layer.mean - before).abs().max() > 1e-6
        assert torch.equal(network.eval()(x), after)
        assert torch.equal(network(x), after)


def test_gradients_flow_through_the_references_statistics():
    # Of the weights before the layer, on which the reference's moments depend as the sample does.
    convolution, layer = nn.Conv2d(3, 2, 1), VirtualBatchNorm(2)
    network = Chain(convolution, layer)
    reference, x, weights = 2 * drawn(4, 3, 5, 4) + 1, drawn(2, 3, 5, 4, seed=1), drawn(2, 2, 5, 4, seed=2)
    network(reference)
    (network(x) * weights).sum().backward()
    precise = copy.deepcopy(convolution).double()
    expected = five_lines(precise(x.double()), precise(reference.double()), layer)
    (slope,) = torch.autograd.grad((expected * weights.double()).sum(), precise.weight)
    torch.testing.assert_close(convolution.weight.grad.double(), slope, rtol=1e-3, atol=1e-4)


def test_a_gradient_of_a_gradient_is_that_of_the_five_lines():
    network, layer = alone(3)
    reference, x = 2 * drawn(4, 3, 5, 4) + 1, drawn(2, 3, 5, 4, seed=1)
    network(reference)

    def penalty(function, at):
        at = at.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(at).pow(3).sum(), at, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), at)[0]

    expected = penalty(lambda at: five_lines(at, reference.double(), layer), x.double())
    torch.testing.assert_close(penalty(network, x).double(), expected, rtol=1e-3, atol=1e-3)
    assert expected.abs().max() > 1


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_a_gradient_may_be_taken_in_evaluation_again_and_again(way, name):
    network = build(way, name).eval()
    x = given(way, 3).requires_grad_()
    network(x).square().sum().backward()
    once = x.grad.clone()
    assert once.abs().max() > 0
    network(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * once)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_images_may_be_of_another_size_than_the_reference(name):
    network = build("a2b", name)
    with torch.no_grad():
        network(given("a2b", 4))
        for mode in (True, False):
            assert network.train(mode)(drawn(1, 3, 32, 48)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_an_input_that_does_not_fit_leaves_no_reference(name):
    network, untouched = build("a2b", name), build("a2b", name)
    x = given("a2b", 3)
    with pytest.raises(RuntimeError, match="channels"):
        network(torch.zeros(2, 4, 16, 16))
    with torch.no_grad():
        assert torch.equal(network(x), untouched(x))


def test_statistics_are_of_float32_where_the_network_computes_in_bfloat16():
    network, layer = alone(3)
    reference, x = 2 * drawn(4, 3, 32, 32) + 30, drawn(2, 3, 32, 32, seed=1) + 30
    network(reference.bfloat16())
    assert layer.mean.dtype == layer.square.dtype == torch.float32
    y = network(x.bfloat16())
    assert y.dtype == torch.bfloat16
    # With sums in bfloat16 the variance of 4 would be lost beside the square of 30.
    expected = five_lines(x.bfloat16().double(), reference.bfloat16().double(), layer)
    torch.testing.assert_close(y.double(), expected, rtol=0.01, atol=0.01)


def test_a_network_without_the_layer_holds_nothing():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    keys = set(network.state_dict())
    hold_reference(network)
    assert set(network.state_dict()) == keys
    assert not network._forward_pre_hooks


@pytest.mark.parametrize(("way", "name"), BACKBONES)
def test_a_network_of_another_norm_holds_nothing(way, name):
    assert not any("reference" in key for key in build(way, name, norm="batch").state_dict())


@pytest.mark.parametrize("name", [n for n in TRANSLATORS if "latent" in normed("a2b", n).options])
def test_a_latent_is_refused(name):
    spec = normed("a2b", name)
    with pytest.raises(UsageError, match="norm=virtual takes no latent; use norm=instance or norm=batch"):
        build_network("a2b", Spec(name, {**spec.options, "latent": 4}))
