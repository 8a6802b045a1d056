"""IAN's layers: multiscale dilated convolution, RGB-Beta, and a flow of two masked autoencoders."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from i2i.errors import UsageError
from i2i.networks import build_discriminator, build_latent_encoder, build_latent_generator
from i2i.networks.ian import MADE, BetaColours, InverseAutoregressiveFlow, MultiscaleConv


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("dilations", [(0, 2), (0, 2, 3), (2, 3, 4)])
def test_a_multiscale_convolution_is_one_sparse_kernel(dilations):
    layer, reach = MultiscaleConv(3, 5, dilations), max(dilations)
    torch.nn.init.normal_(layer.gains)
    kernel = torch.zeros(5, 3, 2 * reach + 1, 2 * reach + 1)
    for dilation, gain in zip((1, *dilations), layer.gains, strict=True):
        weight = layer.weight * gain[:, None, None, None]
        if dilation:
            kernel[:, :, reach - dilation : reach + dilation + 1 : dilation, reach - dilation :: dilation][..., :3] += (
                weight
            )
        else:
            kernel[:, :, reach, reach] += weight.mean((2, 3))
    x = torch.randn(2, 3, 11, 13)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernel, padding=reach), rtol=0, atol=1e-5)


def test_gains_start_at_the_mean_of_the_scales():
    assert MultiscaleConv(3, 5, (0, 2, 3)).gains.unique().tolist() == [0.25]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_is_the_mean_of_a_beta_distribution_of_those_before_it(channels):
    layer = BetaColours(4, channels)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 4, 6, 6)
    image, found = layer(x), []
    assert image.shape == (2, channels, 6, 6)
    assert image.abs().max() < 1
    for channel in range(channels):
        total = layer.of_features[channel](x)
        if channel:
            total = total + layer.of_channels[channel - 1](torch.cat(found, dim=1))
        found.append(torch.sigmoid(total))
        alpha, beta = found[-1].unbind(1)
        expected = 2 * torch.distributions.Beta(alpha, beta).mean - 1
        torch.testing.assert_close(image[:, channel], expected, rtol=0, atol=1e-5)


def jacobian(function, z):
    return torch.autograd.functional.jacobian(lambda given: function(given[None])[0], z)


def test_the_jacobian_of_made_is_strictly_triangular_in_its_order():
    order, degrees = torch.randperm(12), torch.randint(0, 11, (40,))
    made = MADE(order, degrees)
    found = jacobian(made, torch.randn(12))[order.argsort()][:, order.argsort()]
    assert (found.triu() == 0).all()
    assert (found.tril(-1)[torch.ones(12, 12).tril(-1) > 0] != 0).float().mean() > 0.9


def test_the_flow_is_triangular_starts_near_the_identity_and_can_be_undone():
    flow = InverseAutoregressiveFlow(8)
    z = torch.randn(3, 8)
    for layer in flow.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.3)
    order = flow.mean.direct.mask.sum(1)
    triangle = jacobian(flow, z[0])[order.argsort()][:, order.argsort()]
    assert (triangle.triu(1) == 0).all()
    torch.testing.assert_close(triangle.diagonal().log().sum(), -flow.log_scale(z[:1]).sum())
    moved, undone = flow(z), torch.zeros(3, 8)
    for _ in range(8):  # each pass finds one more latent
        undone = moved * flow.log_scale(undone).exp() + flow.mean(undone)
    torch.testing.assert_close(undone, z, rtol=0, atol=1e-4)
    built = build_latent_generator("ian:width=4,latent=8", out_channels=3, image_size=16)
    assert (built.code(z) - z).abs().max() < 0.3


@pytest.mark.parametrize(("size", "widths"), [(16, [4, 8]), (64, [4, 8, 16, 32])])
def test_encoder_and_discriminator_have_one_trunk(size, widths):
    encoder = build_latent_encoder("ian:width=4,latent=6", in_channels=3, image_size=size)
    discriminator = build_discriminator("ian:width=4,minibatch=5", in_channels=3, image_size=size)
    x = torch.rand(2, 3, size, size) * 2 - 1
    assert encoder(x).shape == (2, 6)
    logits, activations = discriminator.forward_with_features(x)
    assert logits.shape == (2, 3)
    assert [layer.shape[1] for layer in activations] == widths
    assert activations[-1].shape[2:] == (4, 4)
    assert encoder.trunk.state_dict().keys() == discriminator.trunk.state_dict().keys()


def test_networks_of_the_paper():
    decoder = build_latent_generator("ian", out_channels=3, image_size=64)
    shapes = [tuple(w.shape) for name, w in decoder.layers.named_parameters() if w.dim() == 4 and w.shape[-1] == 5]
    assert shapes == [(512, 512, 5, 5), (512, 256, 5, 5), (256, 128, 5, 5), (128, 128, 5, 5)]
    assert decoder.prior == build_latent_generator("ian_simple", out_channels=3, image_size=64).prior == "normal"
    assert decoder.latent == 100
    assert build_discriminator("ian", in_channels=3, image_size=64).compare.tensor.weight.shape == (2500, 1024)


@pytest.mark.parametrize("build", [build_discriminator, build_latent_encoder])
def test_other_sizes_are_refused(build):
    with pytest.raises(UsageError, match="image size 48: 'ian' needs 8, 16, 32, 64, 128 or 256"):
        build("ian", in_channels=3, image_size=48)
