import itertools

import pytest
import torch
from torch import nn

from i2i.inference.tiling.global_norm import NormStatistics, StatisticsPending, with_global_norms
from i2i.inference.tiling.tiler import Span
from i2i.networks.layers import BatchNorm, Dropout
from i2i.networks.virtual_batch_norm import VirtualBatchNorm, hold_reference


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spans(length, edges, halo=0):
    return [Span(a, b, max(a - halo, 0), min(b + halo, length)) for a, b in itertools.pairwise([0, *edges, length])]


def windows(x, rows, columns):
    """The spans of each tile, and what a network is shown."""
    for down, across in itertools.product(rows, columns):
        yield down, across, x[:, :, down.window_start : down.window_stop, across.window_start : across.window_stop]


def gather(network, statistics, x, rows, columns):
    """Gather the next norm's statistics."""
    for down, across, shown in windows(x, rows, columns):
        statistics.begin_tile(down, across)
        with pytest.raises(StatisticsPending):
            network(shown)
    statistics.finalize()


class Given(NormStatistics):
    """Mean and variance, (N, C) each, that were thought up."""

    def __init__(self, mean, variance):
        super().__init__((1, 1))
        self.given = mean, variance

    def get(self, x):
        return self.given


class Referring(nn.Module):
    """Layers with virtual batch norm."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        hold_reference(self)

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("halo", [0, 3, 100])
def test_statistics_of_uneven_tiles_are_those_of_the_whole(halo):
    x = drawn(2, 3, 20, 31) * torch.linspace(1, 5, 31) + torch.linspace(-9, 9, 20)[:, None]
    statistics = NormStatistics((20, 31))
    for down, across, shown in windows(x, spans(20, [7, 8], halo), spans(31, [1, 19], halo)):
        statistics.begin_tile(down, across)
        with pytest.raises(StatisticsPending):
            statistics.get(shown)
    statistics.finalize()
    mean, variance = statistics.get(x)
    expected, around = torch.var_mean(x, dim=(2, 3), correction=0)
    torch.testing.assert_close((mean, variance), (around, expected), rtol=1e-5, atol=1e-5)


def test_statistics_far_from_zero_keep_their_precision():
    # In float32, the mean of squares less the square of the mean would leave nothing of a variance of 1.
    x = drawn(1, 1, 64, 64) + 1e4
    statistics = NormStatistics((64, 64))
    for down, across, shown in windows(x, spans(64, range(8, 64, 8)), spans(64, range(8, 64, 8))):
        statistics.begin_tile(down, across)
        with pytest.raises(StatisticsPending):
            statistics.get(shown)
    statistics.finalize()
    torch.testing.assert_close(statistics.get(x)[1].double(), x.double().var((2, 3), correction=0), rtol=1e-4, atol=0)


def test_statistics_belong_to_norms_in_the_order_of_calls_until_reset():
    statistics, whole = NormStatistics((2, 2)), Span(0, 2, 0, 2)
    for level in (3.0, 5.0):
        statistics.begin_tile(whole, whole)
        for known in (3.0, 5.0)[: int(level == 5)]:
            assert statistics.get(torch.zeros(1, 1, 2, 2))[0].item() == known
        with pytest.raises(StatisticsPending):
            statistics.get(torch.full((1, 1, 2, 2), level))
        statistics.finalize()
    statistics.begin_tile(whole, whole)
    assert [statistics.get(torch.zeros(1, 1, 2, 2))[0].item() for _ in range(2)] == [3, 5]
    statistics.reset()
    statistics.begin_tile(whole, whole)
    with pytest.raises(StatisticsPending):
        statistics.get(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm2d(3),
        nn.InstanceNorm2d(3, affine=True, eps=0.1),
        BatchNorm(3, at_inference="sample"),
        VirtualBatchNorm(3),
    ],
    ids=["instance", "affine", "batch", "virtual"],
)
def test_global_norm_in_closed_form(norm):
    if getattr(norm, "weight", None) is not None:
        norm.weight[:], norm.bias[:] = torch.tensor([1.0, 2.0, -3.0]), torch.tensor([0.0, 0.5, 7.0])
    x, mean, variance = drawn(2, 3, 4, 5), drawn(2, 3, seed=1), drawn(2, 3, seed=2).square() + 0.1
    y = with_global_norms(nn.Sequential(norm).eval(), Given(mean, variance))(x)
    normal = (x - mean[:, :, None, None]) / (variance + norm.eps).sqrt()[:, :, None, None]
    weight, bias = (1, 0) if norm.weight is None else (p[:, None, None] for p in (norm.weight, norm.bias))
    torch.testing.assert_close(y, normal * weight + bias, rtol=1e-5, atol=1e-5)


def test_global_virtual_batch_norm_mixes_moments_with_the_reference():
    network = Referring(VirtualBatchNorm(1)).eval()
    network(torch.tensor([0.0, 2.0, 4.0, 6.0]).view(2, 1, 1, 2))  # |R| = 2, mean 3, mean square 14
    held = with_global_norms(network, Given(torch.tensor([[6.0]]), torch.tensor([[5.0]])))  # mean square 41
    mean, square = (6 + 2 * 3) / 3, (41 + 2 * 14) / 3
    expected = (torch.tensor([1.0]) - mean) / (square - mean**2) ** 0.5
    torch.testing.assert_close(held(torch.ones(1, 1, 1, 1)).flatten(), expected, rtol=1e-4, atol=0)


def test_a_loaded_reference_batch_passes_before_norms_are_replaced():
    network, loaded = (Referring(nn.Conv2d(1, 2, 1), VirtualBatchNorm(2)).eval() for _ in range(2))
    network(drawn(3, 1, 4, 4))
    loaded.load_state_dict(network.state_dict())
    x, size = drawn(1, 1, 8, 8, seed=1), spans(8, [3])
    expected = network(x)
    statistics = NormStatistics((8, 8))
    held = with_global_norms(loaded, statistics)
    gather(held, statistics, x, size, size)
    for down, across, shown in windows(x, size, size):
        statistics.begin_tile(down, across)
        own = expected[:, :, down.start : down.stop, across.start : across.stop]
        torch.testing.assert_close(held(shown), own, rtol=1e-4, atol=1e-5)
    assert not loaded.reference.seen


def test_the_original_network_keeps_its_modules_and_shares_its_weights():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), Dropout(0.5, at_inference=True, seed=0)).eval()
    kinds = [type(module) for module in network.modules()]
    held = with_global_norms(network, NormStatistics((8, 8)))
    assert [type(module) for module in network.modules()] == kinds
    assert [type(module) for module in held] != [type(module) for module in network]
    assert held[0] is not network[0]
    assert held[0].weight is network[0].weight


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(3),
        BatchNorm(3, at_inference="running"),
        nn.InstanceNorm2d(3, track_running_stats=True),
        Dropout(0.5, at_inference=False, seed=0),
    ],
    ids=["batch", "running", "instance", "dropout"],
)
def test_pointwise_layers_are_not_replaced(layer):
    network = nn.Sequential(layer).eval()
    held = with_global_norms(network, Given(torch.full((2, 3), 9.0), torch.full((2, 3), 9.0)))
    assert type(held[0]) is type(layer)
    assert torch.equal(held(drawn(2, 3, 4, 4)), network(drawn(2, 3, 4, 4)))


def test_a_norm_used_several_times_is_replaced_everywhere():
    norm = nn.InstanceNorm2d(2)
    network = nn.Sequential(norm, nn.Conv2d(2, 2, 1), norm, nn.Sequential(nn.Conv2d(2, 2, 1), norm)).eval()
    x, (rows, columns) = drawn(1, 2, 9, 9) * torch.linspace(1, 4, 9), (spans(9, [4]), spans(9, [2, 6]))
    expected = network(x)
    statistics = NormStatistics((9, 9))
    held = with_global_norms(network, statistics)
    for _ in range(3):
        gather(held, statistics, x, rows, columns)
    for down, across, shown in windows(x, rows, columns):
        statistics.begin_tile(down, across)
        own = expected[:, :, down.start : down.stop, across.start : across.stop]
        torch.testing.assert_close(held(shown), own, rtol=1e-4, atol=1e-4)


def test_dropout_of_tiles_uses_the_mask_of_the_whole_image():
    dropout = Dropout(0.5, at_inference=True, seed=3)
    network = nn.Sequential(dropout, nn.AvgPool2d(2), dropout, nn.Upsample(scale_factor=2)).eval()
    x = drawn(2, 3, 16, 24).exp()
    expected = network(x)
    statistics = NormStatistics((16, 24))
    held = with_global_norms(network, statistics)
    state = torch.get_rng_state()
    for down, across, shown in windows(x, spans(16, [6], 2), spans(24, [10, 14], 4)):
        statistics.begin_tile(down, across)
        own = expected[:, :, down.window_start : down.window_stop, across.window_start : across.window_stop]
        assert torch.equal(held(shown), own)
    assert 0.4 < (expected == 0).float().mean() < 0.8
    assert torch.equal(torch.get_rng_state(), state)
