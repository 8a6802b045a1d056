"""DCGAN's networks against the published ones."""

import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.networks import Backbones, build_discriminator, build_latent_generator
from i2i.networks.layers import BatchNorm
from i2i.spec import Spec
from support.networks import build_small_generator, parameter_count


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("size", [4, 12, 48, 100])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_sizes_other_than_4_times_a_power_of_2_are_refused(role, size):
    backbones = Backbones(Spec.parse("dcgan:width=1"), Spec.parse("dcgan:width=1"), image_size=size)
    message = f"^image size {size}: 'dcgan' needs 8, 16, 32, 64, 128 or 256; use image_size=64$"
    with pytest.raises(UsageError, match=message):
        backbones.latent_generator(3) if role == "generator" else backbones.discriminator(3)


# The sizes of Radford et al. 2016's code, layer by layer.
DCGAN_GENERATOR = (
    100 * 1024 * 4 * 4  # the linear layer, to 16384 units
    + 2 * 1024 * 4 * 4  # its batch norm: a gain and a shift of each unit
    + (5 * 5 * 1024 * 512 + 2 * 512)
    + (5 * 5 * 512 * 256 + 2 * 256)
    + (5 * 5 * 256 * 128 + 2 * 128)
    + 5 * 5 * 128 * 3
)


DCGAN_DISCRIMINATOR = (
    5 * 5 * 3 * 128
    + (5 * 5 * 128 * 256 + 2 * 256)
    + (5 * 5 * 256 * 512 + 2 * 512)
    + (5 * 5 * 512 * 1024 + 2 * 1024)
    + 1024 * 4 * 4
)


def test_parameter_counts_are_the_published_ones():
    assert (DCGAN_GENERATOR, DCGAN_DISCRIMINATOR) == (18_885_760, 17_232_768)
    with torch.device("meta"):
        assert parameter_count(build_latent_generator("dcgan", out_channels=3, image_size=64)) == DCGAN_GENERATOR
        assert parameter_count(build_discriminator("dcgan", in_channels=3, image_size=64)) == DCGAN_DISCRIMINATOR


def test_labels_and_minibatch_discrimination_add_only_their_weights():
    with torch.device("meta"):
        labelled = build_latent_generator("dcgan", out_channels=3, image_size=64, classes=10)
        discriminator = build_discriminator("dcgan:minibatch=50", in_channels=13, image_size=64)
    assert parameter_count(labelled) == DCGAN_GENERATOR + 10 * 16384
    # A channel for each label; 50 kernels of 5 dimensions, and a weight for what each says.
    assert parameter_count(discriminator) == DCGAN_DISCRIMINATOR + 5 * 5 * 10 * 128 + 16384 * 50 * 5 + 50


def test_generator_layers_are_in_the_papers_order():
    with torch.device("meta"):
        layers = list(build_latent_generator("dcgan", out_channels=3, image_size=64).layers)
    doubling = [nn.ConvTranspose2d, BatchNorm, nn.ReLU]
    assert [type(layer) for layer in layers] == [
        *(nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Unflatten),
        *doubling * 3,
        *(nn.ConvTranspose2d, nn.Tanh),
    ]
    doublings = [layer for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in doublings] == [1024, 512, 256, 128]
    assert {(layer.kernel_size, layer.stride, layer.bias) for layer in doublings} == {((5, 5), (2, 2), None)}
    assert layers[0].bias is None


def test_the_discriminators_first_convolution_has_no_batch_norm():
    with torch.device("meta"):
        discriminator = build_discriminator("dcgan", in_channels=3, image_size=64)
    first, *rest = [[type(layer) for layer in layers] for layers in discriminator.layers]
    assert first == [nn.Conv2d, nn.Identity, nn.LeakyReLU]
    assert rest == [[nn.Conv2d, BatchNorm, nn.LeakyReLU]] * 3
    assert {layers[2].negative_slope for layers in discriminator.layers} == {0.2}
    assert [type(layer) for layer in discriminator.head] == [nn.Flatten, nn.Identity, nn.Linear]


def test_weights_are_initialised_as_published():
    torch.manual_seed(0)
    options = {"image_size": 32}
    networks = [
        build_latent_generator("dcgan:width=16", out_channels=3, **options),
        build_discriminator("dcgan:width=16,minibatch=3", in_channels=3, **options),
    ]
    for network in networks:
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        weights = torch.cat([p.flatten() for p in network.parameters() if p.dim() > 1])
        gains = torch.cat([norm.weight for norm in norms])
        # Within 5 standard errors of N(0, 0.02) and N(1, 0.02).
        assert weights.mean().abs() < 5 * 0.02 / len(weights) ** 0.5
        assert weights.std().item() == pytest.approx(0.02, rel=5 / (2 * len(weights)) ** 0.5)
        assert (gains.mean() - 1).abs() < 5 * 0.02 / len(gains) ** 0.5
        assert gains.std().item() == pytest.approx(0.02, rel=5 / (2 * len(gains)) ** 0.5)
        assert all((norm.bias == 0).all() for norm in norms)


def test_a_transposed_convolution_spreads_a_value_over_five_by_five_pixels():
    # A transposed convolution whose weights are all 1 shows where each value of the 4 x 4 start goes.
    doubling = build_small_generator("dcgan:width=1,latent=1,norm=none", size=8).layers[-2]
    assert isinstance(doubling, nn.ConvTranspose2d)
    doubling.weight.fill_(1)
    start = torch.zeros(1, 1, 4, 4)
    start[0, 0, 1, 2] = 1
    expected = torch.zeros(8, 8)
    expected[0:5, 2:7] = 1  # around pixel (2, 4), which is twice (1, 2)
    assert torch.equal(doubling(start)[0, 0], expected)
