import inspect
import itertools
import math

import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.networks import Backbones, build_discriminator, build_latent_generator, discriminators, latent_generators
from i2i.networks.layers import BatchNorm, MinibatchDiscrimination
from i2i.networks.mlp import Maxout
from i2i.networks.virtual_batch_norm import VirtualBatchNorm
from i2i.spec import Spec

NAMES = list(latent_generators)
JUDGES = ["dcgan", "mlp"]
NORMS = ["batch", "none", "virtual"]
VARIANTS = [f"{name}:width=4,latent=6,norm={norm}" for name in NAMES for norm in NORMS]


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def build(spec, *, size=16, classes=0, seed=0):
    """A generator whose images differ enough to be told apart."""
    torch.manual_seed(seed)
    network = build_latent_generator(spec, out_channels=2, image_size=size, classes=classes)
    for parameter in network.parameters():
        parameter *= 5 if parameter.dim() > 1 else 1
    return network


def build_judge(name, *, size=16, **options):
    torch.manual_seed(0)
    judge = build_discriminator(Spec(name, {"width": 4, **options}), in_channels=3, image_size=size)
    for parameter in judge.parameters():
        parameter *= 5 if parameter.dim() > 1 else 1
    return judge


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("size", "classes"), [(8, 0), (16, 3), (32, 0)])
@pytest.mark.parametrize("spec", VARIANTS)
def test_a_latent_becomes_a_image_in_range(spec, size, classes):
    network = build(spec, size=size, classes=classes)
    assert (network.latent, network.classes, network.out_channels, network.image_size) == (6, classes, 2, size)
    for mode in (True, False):
        y = network.train(mode)(drawn(3, 6 + classes))
        assert y.shape == (3, 2, size, size)
        assert y.isfinite().all()
        assert y.abs().max() <= 1
        assert (y[0] - y[1]).abs().max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_large_weights_fill_the_range_and_do_not_leave_it(name):
    network = build(f"{name}:width=4,latent=6")
    for parameter in network.parameters():
        parameter *= 50
    y = network(drawn(4, 6))
    assert 0.99 < y.max() <= 1
    assert -0.99 > y.min() >= -1


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("spec", VARIANTS)
def test_the_spec_rebuilds_the_network(spec, classes):
    network, z = build(spec, classes=classes), drawn(3, 6 + classes)
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
def test_a_complete_spec_writes_every_default_out(spec, whole):
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
def test_a_discriminators_complete_spec_writes_every_default_out(name, whole):
    with torch.device("meta"):
        assert str(build_discriminator(name, in_channels=3, image_size=64).spec) == whole


def test_the_pair_that_an_method_asks_for_knows_size_channels_and_classes():
    backbones = Backbones(Spec.parse("mlp:width=4"), Spec.parse("mlp:width=4"), image_size=8, classes=10)
    generator, judge = backbones.latent_generator(1), backbones.discriminator(11)
    assert (generator.out_channels, generator.image_size, generator.classes) == (1, 8, 10)
    assert (judge.spec.options["in_channels"], judge.spec.options["image_size"], judge.smallest) == (11, 8, 8)


@pytest.mark.parametrize("spec", VARIANTS)
def test_the_label_changes_the_image(spec):
    network = build(spec, classes=3)
    network(torch.cat([drawn(6, 6, seed=2), torch.eye(3).repeat(2, 1)], dim=1))
    network.eval()
    z = drawn(1, 6, seed=1).expand(3, -1)
    y = network(torch.cat([z, torch.eye(3)], dim=1))
    for one, two in itertools.combinations(y, 2):
        assert (one - two).abs().max() > 0.01


@pytest.mark.parametrize("size", [4, 12, 48, 100])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_sizes_that_dcgan_does_not_reach_by_doubling_are_refused(role, size):
    backbones = Backbones(Spec.parse("dcgan:width=1"), Spec.parse("dcgan:width=1"), image_size=size)
    message = f"^image size {size}: 'dcgan' needs 8, 16, 32, 64, 128 or 256; use --image-size 64$"
    with pytest.raises(UsageError, match=message):
        backbones.latent_generator(3) if role == "generator" else backbones.discriminator(3)


def test_fully_connected_networks_take_any_size():
    assert build("mlp:width=4,latent=6", size=7)(drawn(2, 6)).shape == (2, 2, 7, 7)
    assert build_judge("mlp", size=7)(drawn(2, 3, 7, 7)).shape == (2, 1)


@pytest.mark.parametrize("spec", ["dcgan:latent=0", "dcgan:width=0", "mlp:latent=0", "mlp:width=0", "mlp:layers=0"])
def test_options_that_make_no_generator_are_refused(spec):
    with pytest.raises(UsageError, match=f"^{spec.partition(':')[0]} needs latent"):
        build(spec)


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
def test_options_that_make_no_discriminator_are_refused(name, options):
    with pytest.raises(UsageError, match=f"^{name} needs width"):
        build_judge(name, **options)


# The sizes of Radford et al. 2016's code (PAPERS.md, card 8), layer by layer.
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
# Goodfellow et al. 2014's code for MNIST.
MLP_GENERATOR = (100 + 1) * 1200 + (1200 + 1) * 1200 + (1200 + 1) * 28 * 28
MLP_DISCRIMINATOR = (28 * 28 + 1) * 240 * 5 + (240 + 1) * 240 * 5 + (240 + 1)


def test_dcgan_has_the_published_size():
    assert (DCGAN_GENERATOR, DCGAN_DISCRIMINATOR) == (18_885_760, 17_232_768)
    with torch.device("meta"):
        assert count(build_latent_generator("dcgan", out_channels=3, image_size=64)) == DCGAN_GENERATOR
        assert count(build_discriminator("dcgan", in_channels=3, image_size=64)) == DCGAN_DISCRIMINATOR


def test_labels_and_minibatch_features_add_their_weights_alone():
    with torch.device("meta"):
        labelled = build_latent_generator("dcgan", out_channels=3, image_size=64, classes=10)
        judge = build_discriminator("dcgan:minibatch=50", in_channels=13, image_size=64)
    assert count(labelled) == DCGAN_GENERATOR + 10 * 16384
    # A channel for each label; 50 kernels of 5 dimensions, and a weight for what each says.
    assert count(judge) == DCGAN_DISCRIMINATOR + 5 * 5 * 10 * 128 + 16384 * 50 * 5 + 50


def test_fully_connected_networks_have_the_published_size():
    with torch.device("meta"):
        assert count(build_latent_generator("mlp", out_channels=1, image_size=28)) == MLP_GENERATOR
        assert count(build_discriminator("mlp", in_channels=1, image_size=28)) == MLP_DISCRIMINATOR


def test_mlp_starts_as_the_2014_code_with_init_uniform():
    torch.manual_seed(0)
    generator = build_latent_generator("mlp:width=200,init=uniform", out_channels=1, image_size=8)
    judge = build_discriminator("mlp:width=100,minibatch=3,init=uniform", in_channels=1, image_size=8)
    for network, reach in ((generator, 0.05), (judge, 0.005)):
        weights = torch.cat([p.flatten() for p in network.parameters() if p.dim() > 1])
        # Of U(-r, r): the largest of many is nearly r, the standard deviation r / sqrt 3.
        assert 0.99 * reach < weights.abs().max() <= reach
        assert weights.std().item() == pytest.approx(reach / 3**0.5, rel=0.02)
        assert all((p == 0).all() for p in network.parameters() if p.dim() == 1)


def test_input_dropout_of_mlp_drops_pixels_and_keeps_the_mean():
    x = torch.ones(50, 1, 8, 8)
    judge = build_discriminator("mlp:width=4,dropout=0,input_dropout=0.2", in_channels=1, image_size=8)
    seen = []
    judge.layers[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    judge.train()(x)
    judge.eval()(x)
    assert seen[0].unique().tolist() == [0, 1.25]  # 1.25 is 1 / 0.8
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(seen[1], x.flatten(1))


def test_dcgans_layers_are_in_the_papers_order():
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


def test_dcgans_discriminator_has_no_batch_norm_on_its_first_convolution():
    with torch.device("meta"):
        judge = build_discriminator("dcgan", in_channels=3, image_size=64)
    first, *rest = [[type(layer) for layer in layers] for layers in judge.layers]
    assert first == [nn.Conv2d, nn.Identity, nn.LeakyReLU]
    assert rest == [[nn.Conv2d, BatchNorm, nn.LeakyReLU]] * 3
    assert {layers[2].negative_slope for layers in judge.layers} == {0.2}
    assert [type(layer) for layer in judge.discriminator_terms] == [nn.Flatten, nn.Identity, nn.Linear]


def test_dcgans_weights_begin_as_published():
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


def test_one_value_reaches_five_by_five_pixels():
    # A transposed convolution whose weights are all 1 shows where each value of the 4 x 4 start goes.
    doubling = build("dcgan:width=1,latent=1,norm=none", size=8).layers[-2]
    assert isinstance(doubling, nn.ConvTranspose2d)
    doubling.weight.fill_(1)
    start = torch.zeros(1, 1, 4, 4)
    start[0, 0, 1, 2] = 1
    expected = torch.zeros(8, 8)
    expected[0:5, 2:7] = 1  # around pixel (2, 4), which is twice (1, 2)
    assert torch.equal(doubling(start)[0, 0], expected)


@pytest.mark.parametrize("spec", VARIANTS)
def test_at_inference_a_sample_depends_on_no_other(spec):
    network = build(spec)
    network(drawn(8, 6, seed=3))
    z, network = drawn(4, 6), network.eval()
    together = network(z)
    changed = network(torch.cat([z[:1], drawn(3, 6, seed=1)]))
    torch.testing.assert_close(changed[0], together[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(network(z[:1])[0], together[0], rtol=0, atol=1e-5)
    assert (changed[1] - together[1]).abs().max() > 0.01


@pytest.mark.parametrize("spec", VARIANTS)
def test_in_training_only_batch_norm_lets_samples_meet(spec):
    network = build(spec).train()
    network(drawn(8, 6, seed=3))
    z = drawn(4, 6)
    together, changed = network(z), network(torch.cat([z[:1], drawn(3, 6, seed=1)]))
    meets = (changed[0] - together[0]).abs().max() > 1e-6
    assert meets == ("norm=batch" in spec)


@pytest.mark.parametrize("name", NAMES)
def test_batch_norm_goes_by_the_averages_of_training(name):
    network = build(f"{name}:width=4,latent=6,norm=batch").eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 2
    z = drawn(4, 6)
    for norm in norms:
        before = network(z)
        norm.running_mean -= 0.5
        assert (network(z) - before).abs().max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_virtual_batch_norm_is_where_batch_norm_is(name):
    batch, virtual = (build(f"{name}:width=4,latent=6,norm={norm}") for norm in ("batch", "virtual"))
    wanted = {"BatchNorm", "BatchNorm1d"}
    indices = [index for index, layer in enumerate(batch.layers) if type(layer).__name__ in wanted]
    assert indices
    assert [index for index, layer in enumerate(virtual.layers) if isinstance(layer, VirtualBatchNorm)] == indices
    assert count(batch) == count(virtual)


@pytest.mark.parametrize("name", NAMES)
def test_virtual_batch_norm_shows_the_reference_as_batch_norm_would(name):
    # Its statistics are those of the reference; the sample's share of 1 in 65 makes the difference.
    batch, virtual = (build(f"{name}:width=4,latent=6,norm={norm}") for norm in ("batch", "virtual"))
    virtual.load_state_dict({k: v for k, v in batch.state_dict().items() if "running" not in k}, strict=False)
    z = drawn(64, 6)
    expected = batch(z)
    assert (virtual(z) - expected).abs().mean() < 0.1 * expected.std()
    assert expected.std() > 0.1


@pytest.mark.parametrize("kernels", [1, 3])
def test_minibatch_discrimination_is_the_papers_double_loop(kernels):
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(6, kernels, dimensions=4)
    x = drawn(5, 6, seed=1)
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


def test_samples_that_are_alike_count_each_other_and_distant_ones_do_not():
    torch.manual_seed(0)
    layer, one = MinibatchDiscrimination(6, 3), drawn(1, 6)
    torch.testing.assert_close(layer(one.expand(7, -1))[:, 6:], torch.full((7, 3), 6.0))
    assert torch.equal(layer(one)[:, 6:], torch.zeros(1, 3))
    apart = layer(torch.cat([one, one, 1000 + one, -1000 * one]))[:, 6:]
    torch.testing.assert_close(apart, torch.tensor([1.0, 1.0, 0.0, 0.0])[:, None].expand(4, 3), rtol=0, atol=1e-6)


def test_minibatch_discrimination_goes_with_the_order_of_the_samples():
    torch.manual_seed(0)
    layer, x, order = MinibatchDiscrimination(6, 3), drawn(5, 6), torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(layer(x[order]), layer(x)[order])


def test_closeness_is_of_float32_where_the_network_computes_in_bfloat16():
    layer = MinibatchDiscrimination(1, 1, dimensions=1)
    layer.tensor.weight.fill_(1)
    y = layer.bfloat16()(torch.tensor([[0.0], [7.0]], dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    # In bfloat16 the sample's own 1 would swallow what the other adds.
    assert y[:, 1].tolist() == pytest.approx([math.exp(-7)] * 2, rel=0.01)


def test_maxout_by_hand():
    layer = Maxout(2, 2, 3)
    layer.linear.weight[:] = torch.tensor([[1.0, 0], [-1, 0], [0, 0], [0, 1], [0, 2], [1, 1]])
    layer.linear.bias[:] = torch.tensor([0.0, 0, 0.5, 0, -1, 0])
    # The first unit is max(x, -x, 0.5), the second max(y, 2y - 1, x + y).
    y = layer(torch.tensor([[2.0, 3], [-4, 0.5], [0.25, 0.5], [-1, 3]]))
    assert y.tolist() == [[2, 5], [4, 0.5], [0.5, 0.75], [1, 5]]


def test_maxout_of_one_piece_is_linear():
    torch.manual_seed(0)
    layer, x = Maxout(3, 4, 1), drawn(5, 3)
    torch.testing.assert_close(layer(x), layer.linear(x))


@pytest.mark.parametrize("options", [{}, {"minibatch": 3}, {"spectral": True}])
@pytest.mark.parametrize("name", JUDGES)
def test_a_discriminator_says_one_logit_and_shows_what_it_saw(name, options):
    judge, x = build_judge(name, **options).eval(), drawn(4, 3, 16, 16)
    logits, seen = judge.forward_with_features(x)
    assert logits.shape == (4, 1)
    assert torch.equal(judge(x), logits)
    assert logits.std() > 0
    shapes = {"dcgan": [(4, 4, 8, 8), (4, 8, 4, 4)], "mlp": [(4, 4), (4, 4)]}[name]
    assert [tuple(activation.shape) for activation in seen] == shapes
    assert judge.smallest == 16
    assert discriminators[name] is type(judge)


@pytest.mark.parametrize("name", JUDGES)
def test_a_discriminators_spec_rebuilds_it(name):
    judge, x = build_judge(name, minibatch=2).eval(), drawn(4, 3, 16, 16)
    again = build_discriminator(str(judge.spec)).eval()
    again.load_state_dict(judge.state_dict())
    assert torch.equal(again(x), judge(x))


@pytest.mark.parametrize(("options", "meets"), [({}, False), ({"minibatch": 3}, True)])
@pytest.mark.parametrize("name", JUDGES)
def test_images_are_compared_where_there_are_minibatch_features(name, options, meets):
    # In evaluation, where batch norm lets no image meet another.
    judge, x = build_judge(name, **options).eval(), drawn(4, 3, 16, 16)
    together, changed = judge(x), judge(torch.cat([x[:1], x[:1], x[:1], x[3:]]))
    assert ((together[0] - changed[0]).abs() > 1e-4) == meets


@pytest.mark.parametrize("name", JUDGES)
def test_spectral_norm_bounds_every_layer_of_a_discriminator(name):
    judge = build_judge(name, spectral=True, **({"norm": None} if name == "dcgan" else {}))
    for _ in range(40):  # Each training pass is one step of the power iteration.
        judge(drawn(2, 3, 16, 16))
    layers = [module for module in judge.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_dropout_of_the_fully_connected_discriminator_is_of_training_alone():
    judge, x = build_judge("mlp", width=64).train(), drawn(4, 3, 16, 16)
    hidden = judge.forward_with_features(x)[1][0]
    assert (hidden == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert not torch.equal(judge(x), judge(x))
    judge.eval()
    assert torch.equal(judge(x), judge(x))
    assert not (judge.forward_with_features(x)[1][0] == 0).any()
