"""Convolutions as products of matrices give what PyTorch's own give, with the same gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.networks import build_generator, few_pixels
from i2i.networks.few_pixels import Conv2d, ConvTranspose2d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "output_padding"),
    [((2, 2), 4, 2, 1, 0), ((4, 6), 4, 2, 1, 0), ((1, 1), 4, 2, 1, 0), ((5, 3), 3, 2, 1, 1), ((40, 40), 4, 2, 1, 0)],
)
def test_transposed(size: tuple, kernel: int, stride: int, padding: int, output_padding: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = ConvTranspose2d(5, 3, kernel, stride, padding, output_padding, bias=bias).double()
    x = torch.randn(2, 5, *size, dtype=torch.double, requires_grad=True)
    expected = F.conv_transpose2d(x, layer.weight, layer.bias, stride, padding, output_padding)
    check(layer(x), expected, [x, *layer.parameters()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((2, 2), 4, 2, 1), ((8, 6), 4, 2, 1), ((5, 3), 3, 1, 1), ((4, 4), 1, 1, 0)],
)
def test_convolution(size: tuple, kernel: int, stride: int, padding: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = Conv2d(5, 3, kernel, stride, padding, bias=bias).double()
    x = torch.randn(2, 5, *size, dtype=torch.double, requires_grad=True)
    check(layer(x), F.conv2d(x, layer.weight, layer.bias, stride, padding), [x, *layer.parameters()])


def check(found: torch.Tensor, expected: torch.Tensor, inputs: list) -> None:
    """Equal outputs, with gradients of the first and of the second order."""
    torch.testing.assert_close(found, expected)
    towards = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((y * towards).sum(), inputs, create_graph=True) for y in (found, expected))
    torch.testing.assert_close(ours, theirs)
    second = [torch.autograd.grad(g[0].square().sum(), inputs[1]) for g in (ours, theirs)]
    torch.testing.assert_close(*second)


@pytest.mark.parametrize("spec", ["unet:depth=5,width=4", "unet:depth=5,width=4,up=resize", "resnet:blocks=1,width=4"])
def test_a_network_computes_the_same_with_and_without(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = build_generator(spec, in_channels=3, out_channels=3).eval()
    image = torch.rand(2, 3, 64, 32) * 2 - 1
    found, calls = network(image), []
    monkeypatch.setattr(few_pixels, "_as_matrix", lambda *asked: calls.append(asked) is not None)
    torch.testing.assert_close(network(image), found, atol=1e-5, rtol=1e-4)
    assert calls


def test_in_bfloat16_the_result_has_that_type() -> None:
    x = torch.randn(1, 8, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        for layer in (Conv2d(8, 3, 4, 2, 1), ConvTranspose2d(8, 3, 4, 2, 1)):
            assert layer(x).dtype == torch.bfloat16
