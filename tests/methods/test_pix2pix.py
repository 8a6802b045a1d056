import pytest
import torch

from i2i.losses import Perceptual
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from support.networks import uniform


def make(**options):
    torch.manual_seed(0)
    networks = Spec.parse("unet:depth=4,width=4"), Spec.parse("patchgan:layers=1,width=4")
    return methods["pix2pix"](methods["pix2pix"].Config(**options), Backbones(*networks, image_size=32))


def test_the_perceptual_term_is_the_weighted_distance_to_the_target():
    method = make(perceptual_weight=3.0)
    images = method({"a": uniform(2, 3, 32, 32, seed=1), "b": uniform(2, 3, 32, 32, seed=2)})
    terms = method.generator_loss(images)
    expected = 3 * Perceptual("efficientnet-lite0")(images.fake_b, images.real_b)
    torch.testing.assert_close(terms["perceptual"], expected)
    (gradient,) = torch.autograd.grad(terms["perceptual"], [method.generator.up[0][1].weight])
    assert gradient.abs().sum() > 0
    assert terms.metrics.keys() == {"fake_accuracy"}


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_the_perceptual_network_is_neither_trained_nor_saved(weight):
    method, plain = make(perceptual_weight=weight), make()
    assert list(method.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in method.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert (method.perceptual is None) == (weight == 0)
