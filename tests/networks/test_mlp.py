"""The fully connected networks against those of Goodfellow et al. 2014."""

import pytest
import torch

from i2i.networks import build_discriminator, build_latent_generator
from i2i.networks.mlp import Maxout
from support.networks import build_small_discriminator, build_small_generator, parameter_count, uniform


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def test_any_image_size():
    assert build_small_generator("mlp:width=4,latent=6", size=7)(uniform(2, 6)).shape == (2, 2, 7, 7)
    assert build_small_discriminator("mlp", size=7)(uniform(2, 3, 7, 7)).shape == (2, 1)


# Goodfellow et al. 2014's code for MNIST.
MLP_GENERATOR = (100 + 1) * 1200 + (1200 + 1) * 1200 + (1200 + 1) * 28 * 28


MLP_DISCRIMINATOR = (28 * 28 + 1) * 240 * 5 + (240 + 1) * 240 * 5 + (240 + 1)


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        assert parameter_count(build_latent_generator("mlp", out_channels=1, image_size=28)) == MLP_GENERATOR
        assert parameter_count(build_discriminator("mlp", in_channels=1, image_size=28)) == MLP_DISCRIMINATOR


def test_init_uniform_is_the_initialisation_of_the_2014_code():
    torch.manual_seed(0)
    generator = build_latent_generator("mlp:width=200,init=uniform", out_channels=1, image_size=8)
    discriminator = build_discriminator("mlp:width=100,minibatch=3,init=uniform", in_channels=1, image_size=8)
    for network, reach in ((generator, 0.05), (discriminator, 0.005)):
        weights = torch.cat([p.flatten() for p in network.parameters() if p.dim() > 1])
        # Of U(-r, r): the largest of many is nearly r, the standard deviation r / sqrt 3.
        assert 0.99 * reach < weights.abs().max() <= reach
        assert weights.std().item() == pytest.approx(reach / 3**0.5, rel=0.02)
        assert all((p == 0).all() for p in network.parameters() if p.dim() == 1)


def test_input_dropout_drops_pixels_and_keeps_the_mean():
    x = torch.ones(50, 1, 8, 8)
    discriminator = build_discriminator("mlp:width=4,dropout=0,input_dropout=0.2", in_channels=1, image_size=8)
    activations = []
    discriminator.layers[0].register_forward_hook(lambda _, given, __: activations.append(given[0]))
    discriminator.train()(x)
    discriminator.eval()(x)
    assert activations[0].unique().tolist() == [0, 1.25]  # 1.25 is 1 / 0.8
    assert (activations[0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(activations[1], x.flatten(1))


def test_maxout_by_hand():
    layer = Maxout(2, 2, 3)
    layer.linear.weight[:] = torch.tensor([[1.0, 0], [-1, 0], [0, 0], [0, 1], [0, 2], [1, 1]])
    layer.linear.bias[:] = torch.tensor([0.0, 0, 0.5, 0, -1, 0])
    # The first unit is max(x, -x, 0.5), the second max(y, 2y - 1, x + y).
    y = layer(torch.tensor([[2.0, 3], [-4, 0.5], [0.25, 0.5], [-1, 3]]))
    assert y.tolist() == [[2, 5], [4, 0.5], [0.5, 0.75], [1, 5]]


def test_maxout_of_one_piece_is_linear():
    torch.manual_seed(0)
    layer, x = Maxout(3, 4, 1), uniform(5, 3)
    torch.testing.assert_close(layer(x), layer.linear(x))


def test_discriminator_dropout_is_off_in_evaluation():
    discriminator, x = build_small_discriminator("mlp", width=64).train(), uniform(4, 3, 16, 16)
    hidden = discriminator.forward_with_features(x)[1][0]
    assert (hidden == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert not torch.equal(discriminator(x), discriminator(x))
    discriminator.eval()
    assert torch.equal(discriminator(x), discriminator(x))
    assert not (discriminator.forward_with_features(x)[1][0] == 0).any()
