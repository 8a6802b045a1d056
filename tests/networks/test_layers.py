import itertools
import math

import pytest
import torch
from torch import nn

from i2i.networks.layers import Blur, MinibatchDiscrimination, ResizeConv, initialize, upsample
from i2i.networks.virtual_batch_norm import VirtualBatchNorm
from support.networks import uniform


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def blurred_by_hand(x):
    """Every second pixel of (C, H, W), and its neighbours weighed 1 2 1 both ways; beyond the border is the mirror."""
    height, width = x.shape[1:]

    def inside(index, size):
        index = abs(index)
        return index if index < size else 2 * (size - 1) - index

    y = torch.zeros(len(x), math.ceil(height / 2), math.ceil(width / 2))
    for row, column in itertools.product(range(y.shape[1]), range(y.shape[2])):
        for down, right in itertools.product((-1, 0, 1), repeat=2):
            weight = (2 - abs(down)) * (2 - abs(right)) / 16
            y[:, row, column] += weight * x[:, inside(2 * row + down, height), inside(2 * column + right, width)]
    return y


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 2), (6, 8), (7, 5)])
def test_blur_is_the_binomial_filter_by_hand(height, width):
    x = torch.randn(2, 3, height, width)
    y = Blur()(x)
    assert y.shape == (2, 3, math.ceil(height / 2), math.ceil(width / 2))
    torch.testing.assert_close(y, torch.stack([blurred_by_hand(one) for one in x]))


def test_blur_leaves_what_is_flat_and_takes_what_is_finest():
    flat = torch.tensor([0.3, -2.0])[None, :, None, None].expand(1, 2, 8, 6)
    torch.testing.assert_close(Blur()(flat), flat[..., ::2, ::2])
    sign = torch.tensor([1.0, -1.0]).repeat(4)
    for finest in (sign.expand(8, 8), sign[:, None].expand(8, 8), sign[:, None] * sign):
        # Every second pixel alone would be all 1.
        assert Blur()(finest[None, None]).abs().max() <= 1e-7
        assert (finest[::2, ::2] == 1).all()


def test_blur_has_nothing_to_learn_and_nothing_to_keep():
    blur = Blur()
    assert not list(blur.parameters())
    assert not blur.state_dict()
    assert blur.weights.sum().item() == 1
    assert Blur()(torch.randn(1, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("up", ["transposed", "resize", "bilinear", "shuffle"])
def test_every_way_up_doubles_height_and_width(up, kernel):
    layer = upsample(up, 3, 5, kernel=kernel, bias=True)
    for height, width in ((1, 1), (2, 3), (5, 4)):
        assert layer(torch.randn(2, 3, height, width)).shape == (2, 5, 2 * height, 2 * width)


def test_bilinear_weighs_by_distance_and_resize_repeats():
    # A pixel's two halves lie a quarter of a pixel before and after its middle.
    ramp = torch.tensor([0.0, 4.0, 8.0]).expand(1, 1, 3, 3)
    wanted = {"bilinear": [0.0, 1.0, 3.0, 5.0, 7.0, 8.0], "resize": [0.0, 0.0, 4.0, 4.0, 8.0, 8.0]}
    for up, values in wanted.items():
        grow, convolution = upsample(up, 1, 1, kernel=3, bias=False)
        torch.testing.assert_close(grow(ramp), torch.tensor(values).expand(1, 1, 6, 6))
        assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((3, 3), (1, 1), (1, 1))


@torch.enable_grad()
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (6, 5), (1, 300), (300, 1), (16, 17), (19, 31)])
def test_resize_convolution_equals_its_two_layers_in_values_and_gradients(size, spectral):
    torch.manual_seed(0)
    layer = ResizeConv(3, 5, bias=True)
    initialize(layer, spectral=spectral)
    nn.init.normal_(layer[1].bias)
    layer.double().eval()  # spectral norm iterates in training, and would not give both the same weight
    assert {name.split(".")[0] for name in layer.state_dict()} == {"1"}, "the weights are those of the convolution"
    x, upstream = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True), torch.randn(2, 5, 1, 1).double()
    results = []
    for y in (layer(x), nn.Sequential.forward(layer, x)):
        outward = (upstream * torch.linspace(-1, 1, y[0, 0].numel(), dtype=torch.double).view(y.shape[2:])).expand_as(y)
        results.append((y, *torch.autograd.grad(y, [x, *layer.parameters()], outward)))
    assert len(results[0]) == 4
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_shuffle_starts_without_a_checkerboard_and_can_learn_one():
    layer = upsample("shuffle", 3, 5, kernel=4, bias=True)
    initialize(layer)
    y = layer(torch.randn(2, 3, 4, 6))
    assert y.std() > 0
    blocks = y.unflatten(2, (4, 2)).unflatten(4, (6, 2))
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks)), "each 2x2 block has one value"
    layer[0].weight[1] += 1  # of the first output channel, the pixel at the top right
    blocks = layer(torch.randn(2, 3, 4, 6)).unflatten(2, (4, 2)).unflatten(4, (6, 2))
    assert not torch.equal(blocks[:, 0, :, 0, :, 1], blocks[:, 0, :, 0, :, 0])
    assert torch.equal(blocks[:, 1, :, 0, :, 1], blocks[:, 1, :, 0, :, 0])


def test_bilinear_spreads_a_pixel_over_its_neighbours():
    grow, _ = upsample("bilinear", 1, 1, kernel=3, bias=False)
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[0, 0, 2, 2] = 1
    side = torch.tensor([0.0, 0.0, 0.0, 0.25, 0.75, 0.75, 0.25, 0.0, 0.0, 0.0])
    torch.testing.assert_close(grow(impulse)[0, 0], side[:, None] * side)


@pytest.mark.parametrize(
    ("layer", "inward", "outward"),
    [
        (nn.Conv2d(48, 96, 3), 48 * 9, 96 * 9),
        (nn.ConvTranspose2d(96, 48, 3), 48 * 9, 96 * 9),
        (nn.Conv2d(3, 64, 7), 3 * 49, 64 * 49),
        (nn.Linear(300, 256), 300, 256),
    ],
)
def test_xavier_initialises_as_glorot_and_bengio_with_gain_002(layer, inward, outward):
    torch.manual_seed(0)
    nn.init.ones_(layer.bias)
    initialize(nn.Sequential(layer), init="xavier")
    std, count = 0.02 * math.sqrt(2 / (inward + outward)), layer.weight.numel()
    # Within 5 standard errors of a normal distribution, whose share within one standard deviation is 0.6827.
    assert layer.weight.std().item() == pytest.approx(std, rel=5 / (2 * count) ** 0.5)
    assert layer.weight.mean().abs().item() < 5 * std / count**0.5
    assert (layer.weight.abs() < std).float().mean().item() == pytest.approx(0.6827, abs=2.5 / count**0.5)
    assert (layer.bias == 0).all()


@pytest.mark.parametrize("init", ["normal", "xavier"])
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, VirtualBatchNorm])
def test_gains_are_initialised_near_1_with_any_init(kind, init):
    torch.manual_seed(0)
    norm = kind(4000)
    nn.init.ones_(norm.bias)
    initialize(norm, init=init)
    assert (norm.bias == 0).all()
    assert norm.weight.mean().item() == pytest.approx(1, abs=5 * 0.02 / 4000**0.5)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=5 / 8000**0.5)


@pytest.mark.parametrize("kernels", [1, 3])
def test_minibatch_discrimination_is_the_papers_double_loop(kernels):
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(6, kernels, dimensions=4)
    x = uniform(5, 6, seed=1)
    m = (x.double() @ layer.tensor.weight.double().T).view(5, kernels, 4)
    expected = torch.zeros(5, kernels, dtype=torch.float64)
    for i in range(5):
        for b in range(kernels):
            for j in range(5):
                if j != i:
                    expected[i, b] += torch.exp(-(m[i, b] - m[j, b]).abs().sum())
    y = layer(x)
    assert y.shape == (5, 6 + kernels)
    assert torch.equal(y[:, :6], x)
    torch.testing.assert_close(y[:, 6:].double(), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.05


def test_closeness_counts_equal_samples_and_ignores_distant_ones():
    torch.manual_seed(0)
    layer, one = MinibatchDiscrimination(6, 3), uniform(1, 6)
    torch.testing.assert_close(layer(one.expand(7, -1))[:, 6:], torch.full((7, 3), 6.0))
    assert torch.equal(layer(one)[:, 6:], torch.zeros(1, 3))
    apart = layer(torch.cat([one, one, 1000 + one, -1000 * one]))[:, 6:]
    torch.testing.assert_close(apart, torch.tensor([1.0, 1.0, 0.0, 0.0])[:, None].expand(4, 3), rtol=0, atol=1e-6)


def test_minibatch_discrimination_is_permutation_equivariant():
    torch.manual_seed(0)
    layer, x, order = MinibatchDiscrimination(6, 3), uniform(5, 6), torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(layer(x[order]), layer(x)[order])


def test_closeness_is_computed_in_float32_under_bfloat16():
    layer = MinibatchDiscrimination(1, 1, dimensions=1)
    layer.tensor.weight.fill_(1)
    y = layer.bfloat16()(torch.tensor([[0.0], [7.0]], dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    # In bfloat16 the sample's own 1 would swallow what the other adds.
    assert y[:, 1].tolist() == pytest.approx([math.exp(-7)] * 2, rel=0.01)
