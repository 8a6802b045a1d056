"""What holds for every generator from a latent, and for the discriminators that go with them."""

import inspect
import itertools

import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.networks import Backbones, build_discriminator, build_latent_generator, discriminators, latent_generators
from i2i.networks.virtual_batch_norm import VirtualBatchNorm
from i2i.spec import Spec
from support.networks import build_small_discriminator, build_small_generator, parameter_count, uniform


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


NAMES = list(latent_generators)


DISCRIMINATORS = ["dcgan", "mlp"]


NORMS = ["batch", "none", "virtual"]


VARIANTS = [f"{name}:width=4,latent=6,norm={norm}" for name in NAMES for norm in NORMS]


@pytest.mark.parametrize(("size", "classes"), [(8, 0), (16, 3), (32, 0)])
@pytest.mark.parametrize("spec", VARIANTS)
def test_output_shape_and_range(spec, size, classes):
    network = build_small_generator(spec, size=size, classes=classes)
    assert (network.latent, network.classes, network.out_channels, network.image_size) == (6, classes, 2, size)
    for mode in (True, False):
        y = network.train(mode)(uniform(3, 6 + classes))
        assert y.shape == (3, 2, size, size)
        assert y.isfinite().all()
        assert y.abs().max() <= 1
        assert (y[0] - y[1]).abs().max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_large_weights_saturate_at_the_range(name):
    network = build_small_generator(f"{name}:width=4,latent=6")
    for parameter in network.parameters():
        parameter *= 50
    y = network(uniform(4, 6))
    assert 0.99 < y.max() <= 1
    assert -0.99 > y.min() >= -1


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("spec", VARIANTS)
def test_spec_round_trip_rebuilds_the_network(spec, classes):
    network, z = build_small_generator(spec, classes=classes), uniform(3, 6 + classes)
    network(z)  # so that averages and references hold something
    again = build_latent_generator(str(network.spec))
    assert again.spec == network.spec
    assert set(network.spec.options) == set(inspect.signature(latent_generators[network.spec.name]).parameters)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(z), network.eval()(z))


@pytest.mark.parametrize(
    ("spec", "whole"),
    [
        ("dcgan", "dcgan:out_channels=3,image_size=64,latent=100,width=128,classes=0,norm=batch"),
        ("dcgan:norm=virtual", "dcgan:out_channels=3,image_size=64,latent=100,width=128,classes=0,norm=virtual"),
        ("mlp", "mlp:out_channels=3,image_size=64,latent=100,width=1200,layers=2,classes=0,norm=none,init=torch"),
    ],
)
def test_a_generators_complete_spec_writes_out_every_default(spec, whole):
    with torch.device("meta"):
        assert str(build_latent_generator(spec, out_channels=3, image_size=64).spec) == whole


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("dcgan", "dcgan:in_channels=3,image_size=64,width=128,norm=batch,minibatch=0,spectral=false"),
        (
            "mlp",
            "mlp:in_channels=3,image_size=64,width=240,pieces=5,layers=2,dropout=0.5,minibatch=0,spectral=false,"
            "input_dropout=0.0,init=torch",
        ),
    ],
)
def test_a_discriminators_complete_spec_writes_out_every_default(name, whole):
    with torch.device("meta"):
        assert str(build_discriminator(name, in_channels=3, image_size=64).spec) == whole


def test_backbones_pass_on_size_channels_and_classes():
    backbones = Backbones(Spec.parse("mlp:width=4"), Spec.parse("mlp:width=4"), image_size=8, classes=10)
    generator, discriminator = backbones.latent_generator(1), backbones.discriminator(11)
    assert (generator.out_channels, generator.image_size, generator.classes) == (1, 8, 10)
    assert (
        discriminator.spec.options["in_channels"],
        discriminator.spec.options["image_size"],
        discriminator.smallest,
    ) == (11, 8, 8)


@pytest.mark.parametrize("spec", VARIANTS)
def test_the_label_changes_the_image(spec):
    network = build_small_generator(spec, classes=3)
    network(torch.cat([uniform(6, 6, seed=2), torch.eye(3).repeat(2, 1)], dim=1))
    network.eval()
    z = uniform(1, 6, seed=1).expand(3, -1)
    y = network(torch.cat([z, torch.eye(3)], dim=1))
    for one, two in itertools.combinations(y, 2):
        assert (one - two).abs().max() > 0.01


@pytest.mark.parametrize("spec", ["dcgan:latent=0", "dcgan:width=0", "mlp:latent=0", "mlp:width=0", "mlp:layers=0"])
def test_invalid_generator_options_are_refused(spec):
    with pytest.raises(UsageError, match=f"^{spec.partition(':')[0]} needs latent"):
        build_small_generator(spec)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dcgan", {"width": 0}),
        ("dcgan", {"minibatch": -1}),
        ("mlp", {"width": 0}),
        ("mlp", {"pieces": 0}),
        ("mlp", {"layers": 0}),
        ("mlp", {"dropout": 1.0}),
        ("mlp", {"dropout": -0.1}),
        ("mlp", {"input_dropout": 1.0}),
        ("mlp", {"minibatch": -1}),
    ],
)
def test_invalid_discriminator_options_are_refused(name, options):
    with pytest.raises(UsageError, match=f"^{name} needs width"):
        build_small_discriminator(name, **options)


@pytest.mark.parametrize("spec", VARIANTS)
def test_samples_are_independent_at_inference(spec):
    network = build_small_generator(spec)
    network(uniform(8, 6, seed=3))
    z, network = uniform(4, 6), network.eval()
    together = network(z)
    changed = network(torch.cat([z[:1], uniform(3, 6, seed=1)]))
    torch.testing.assert_close(changed[0], together[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(network(z[:1])[0], together[0], rtol=0, atol=1e-5)
    assert (changed[1] - together[1]).abs().max() > 0.01


@pytest.mark.parametrize("spec", VARIANTS)
def test_in_training_samples_interact_only_through_batch_norm(spec):
    network = build_small_generator(spec).train()
    network(uniform(8, 6, seed=3))
    z = uniform(4, 6)
    together, changed = network(z), network(torch.cat([z[:1], uniform(3, 6, seed=1)]))
    meets = (changed[0] - together[0]).abs().max() > 1e-6
    assert meets == ("norm=batch" in spec)


@pytest.mark.parametrize("name", NAMES)
def test_batch_norm_uses_running_averages_at_inference(name):
    network = build_small_generator(f"{name}:width=4,latent=6,norm=batch").eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) >= 2
    z = uniform(4, 6)
    for norm in norms:
        before = network(z)
        norm.running_mean -= 0.5
        assert (network(z) - before).abs().max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_virtual_batch_norm_is_where_batch_norm_is(name):
    batch, virtual = (build_small_generator(f"{name}:width=4,latent=6,norm={norm}") for norm in ("batch", "virtual"))
    wanted = {"BatchNorm", "BatchNorm1d"}
    indices = [index for index, layer in enumerate(batch.layers) if type(layer).__name__ in wanted]
    assert indices
    assert [index for index, layer in enumerate(virtual.layers) if isinstance(layer, VirtualBatchNorm)] == indices
    assert parameter_count(batch) == parameter_count(virtual)


@pytest.mark.parametrize("name", NAMES)
def test_virtual_batch_norm_of_the_reference_is_near_batch_norm(name):
    # Its statistics are those of the reference; the sample's share of 1 in 65 makes the difference.
    batch, virtual = (build_small_generator(f"{name}:width=4,latent=6,norm={norm}") for norm in ("batch", "virtual"))
    virtual.load_state_dict({k: v for k, v in batch.state_dict().items() if "running" not in k}, strict=False)
    z = uniform(64, 6)
    expected = batch(z)
    assert (virtual(z) - expected).abs().mean() < 0.1 * expected.std()
    assert expected.std() > 0.1


@pytest.mark.parametrize("options", [{}, {"minibatch": 3}, {"spectral": True}])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_returns_one_logit_and_its_activations(name, options):
    discriminator, x = build_small_discriminator(name, **options).eval(), uniform(4, 3, 16, 16)
    logits, activations = discriminator.forward_with_features(x)
    assert logits.shape == (4, 1)
    assert torch.equal(discriminator(x), logits)
    assert logits.std() > 0
    shapes = {"dcgan": [(4, 4, 8, 8), (4, 8, 4, 4)], "mlp": [(4, 4), (4, 4)]}[name]
    assert [tuple(activation.shape) for activation in activations] == shapes
    assert discriminator.smallest == 16
    assert discriminators[name] is type(discriminator)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_spec_round_trip_rebuilds_a_discriminator(name):
    discriminator, x = build_small_discriminator(name, minibatch=2).eval(), uniform(4, 3, 16, 16)
    again = build_discriminator(str(discriminator.spec)).eval()
    again.load_state_dict(discriminator.state_dict())
    assert torch.equal(again(x), discriminator(x))


@pytest.mark.parametrize(("options", "meets"), [({}, False), ({"minibatch": 3}, True)])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_images_interact_only_through_minibatch_discrimination(name, options, meets):
    # In evaluation, where batch norm lets no image meet another.
    discriminator, x = build_small_discriminator(name, **options).eval(), uniform(4, 3, 16, 16)
    together, changed = discriminator(x), discriminator(torch.cat([x[:1], x[:1], x[:1], x[3:]]))
    assert ((together[0] - changed[0]).abs() > 1e-4) == meets


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_spectral_norm_bounds_every_layer_of_a_discriminator(name):
    discriminator = build_small_discriminator(name, spectral=True, **({"norm": None} if name == "dcgan" else {}))
    for _ in range(40):  # Each training pass is one step of the power iteration.
        discriminator(uniform(2, 3, 16, 16))
    layers = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)
