import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.errors import UsageError
from i2i.networks import build_discriminator, build_generator


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def seen_from_the_middle(network, side, *, stride=1):
    """Rows and columns of an image of this side, a multiple of the stride, that the middle of the result sees.

    Weights are positive, so that no path cancels another; of the pixels that max-pooling passes over none is seen, so
    that it is replaced with an average.
    """
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1e-3)
    for name, module in list(network.layers.named_children()):
        if isinstance(module, nn.MaxPool2d):
            network.layers[int(name)] = nn.AvgPool2d(module.kernel_size, stride=module.stride, padding=module.padding)
    x = torch.ones(1, 1, side, side, requires_grad=True)
    y = network(x)
    assert y.shape[2:] == (side // stride, side // stride)
    middle = side // stride // 2
    y[0, 0, middle, middle].backward()
    touched = x.grad[0, 0] != 0
    rows, columns = touched.any(1).nonzero().flatten(), touched.any(0).nonzero().flatten()
    assert touched.sum() == len(rows) * len(columns)
    return rows.tolist(), columns.tolist()


# A convolution from c to d channels with a k x k kernel has k k c d weights and d biases.


@pytest.mark.parametrize(
    ("spec", "channels", "count"),
    [
        ("refiner", 1, (9 * 64 + 64) + 8 * (9 * 64 * 64 + 64) + (64 + 1)),  # 296_129
        ("refiner", 3, (27 * 64 + 64) + 8 * (9 * 64 * 64 + 64) + (3 * 64 + 3)),
        ("refiner:blocks=2,width=8", 1, (9 * 8 + 8) + 4 * (9 * 8 * 8 + 8) + (8 + 1)),
    ],
)
def test_a_refiner_has_as_many_weights_as_by_hand(spec, channels, count):
    with torch.device("meta"):
        assert size(build_generator(spec, in_channels=channels, out_channels=channels)) == count


@pytest.mark.parametrize(
    ("spec", "channels", "count"),
    [
        ("local", 1, (9 * 96 + 96) + (9 * 96 * 64 + 64) + (9 * 64 * 32 + 32) + (32 * 32 + 32) + (32 + 1)),  # 75_873
        ("local", 3, (27 * 96 + 96) + (9 * 96 * 64 + 64) + (9 * 64 * 32 + 32) + (32 * 32 + 32) + (32 + 1)),
        ("local:width=48", 1, (9 * 48 + 48) + (9 * 48 * 32 + 32) + (9 * 32 * 16 + 16) + (16 * 16 + 16) + (16 + 1)),
        ("local:width=1", 1, (9 + 1) + (9 + 1) + (9 + 1) + (1 + 1) + (1 + 1)),
    ],
)
def test_a_local_discriminator_has_as_many_weights_as_by_hand(spec, channels, count):
    with torch.device("meta"):
        assert size(build_discriminator(spec, in_channels=channels)) == count


@pytest.mark.parametrize(("blocks", "field"), [(1, 7), (4, 19)])
def test_a_pixel_of_the_refiner_sees_a_square_around_it(blocks, field):
    refiner = build_generator(f"refiner:blocks={blocks},width=2", in_channels=1, out_channels=1)
    around = list(range(20 - field // 2, 20 + field // 2 + 1))
    assert seen_from_the_middle(refiner, 40) == (around, around)


def test_a_logit_sees_23_pixels_each_way():
    around = list(range(32 - 11, 32 + 12))
    assert seen_from_the_middle(build_discriminator("local:width=3", in_channels=1), 64, stride=4) == (around, around)


@pytest.mark.parametrize("height", [2, 3, 17])
@pytest.mark.parametrize("width", [2, 35])
def test_a_refiner_takes_any_size_from_2_pixels_on(height, width):
    refiner = build_generator("refiner:blocks=1,width=4", in_channels=3, out_channels=3)
    assert (refiner.multiple, refiner.smallest) == (1, 2)
    assert refiner(torch.rand(2, 3, height, width)).shape == (2, 3, height, width)


def test_one_pixel_has_nothing_to_reflect():
    refiner = build_generator("refiner:blocks=1,width=4", in_channels=1, out_channels=1)
    with pytest.raises(RuntimeError, match=r"[Pp]adding size should be less than"):
        refiner(torch.rand(1, 1, 1, 8))


@pytest.mark.parametrize(
    ("height", "width", "logits"), [(1, 1, (1, 1)), (4, 5, (1, 2)), (35, 55, (9, 14)), (64, 64, (16, 16))]
)
def test_a_local_discriminator_gives_a_logit_for_every_4_pixels(height, width, logits):
    discriminator = build_discriminator("local:width=6", in_channels=1)
    assert discriminator.smallest == 1
    assert discriminator(torch.rand(2, 1, height, width)).shape == (2, 1, *logits)


def test_the_refiner_is_what_the_paper_says_layer_by_layer():
    torch.manual_seed(0)
    refiner = build_generator("refiner:blocks=2,width=5", in_channels=2, out_channels=1)
    weights = iter(dict(refiner.named_parameters()).values())
    x = torch.rand(2, 2, 9, 7) * 2 - 1

    def convolve(y, padding):
        return F.conv2d(F.pad(y, [padding] * 4, mode="reflect"), next(weights), next(weights))

    y = F.relu(convolve(x, 1))
    for _ in range(2):
        y = F.relu(y + convolve(F.relu(convolve(y, 1)), 1))
    torch.testing.assert_close(refiner(x), torch.tanh(convolve(y, 0)))


def test_the_local_discriminator_is_what_the_paper_says_layer_by_layer():
    torch.manual_seed(0)
    discriminator = build_discriminator("local:width=6", in_channels=2)
    weights = iter(dict(discriminator.named_parameters()).values())
    x = torch.rand(2, 2, 21, 18) * 2 - 1
    seen = [x]
    for stride, padding in ((2, 1), (2, 1), (1, 1), (1, 0)):
        y = F.max_pool2d(seen[-1], 3, stride=1, padding=1) if len(seen) == 3 else seen[-1]
        seen.append(F.relu(F.conv2d(y, next(weights), next(weights), stride=stride, padding=padding)))
    logits, activations = discriminator.forward_with_features(x)
    torch.testing.assert_close(logits, F.conv2d(seen[-1], next(weights), next(weights)))
    torch.testing.assert_close(discriminator(x), logits)
    assert [one.shape[1] for one in activations] == [6, 4, 2, 2]
    for one, other in zip(activations, seen[1:], strict=True):
        torch.testing.assert_close(one, other)


def test_one_logit_is_the_papers_two_maps_and_softmax():
    u, v = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 3
    both = torch.log_softmax(torch.stack([u, v]), dim=0)
    torch.testing.assert_close(F.softplus(-(u - v)), -both[0])  # real, and the refiner's own loss
    torch.testing.assert_close(F.softplus(u - v), -both[1])  # refined


@pytest.mark.parametrize(
    ("network", "reach"),
    [
        (lambda: build_generator("refiner", in_channels=1, out_channels=1), (0.03, 0.9)),
        (lambda: build_discriminator("local", in_channels=1), (0.01, 1)),
    ],
)
def test_weights_are_initialised_as_published_and_pass_the_image_on(network, reach):
    torch.manual_seed(0)
    network = network()
    for layer in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        kernel = layer.kernel_size[0] ** 2
        deviation = (2 / (kernel * (layer.in_channels + layer.out_channels))) ** 0.5
        assert layer.weight.abs().max() <= 3**0.5 * deviation + 1e-6  # uniform
        assert layer.weight.std().item() == pytest.approx(deviation, rel=3 / layer.weight.numel() ** 0.5)
        assert (layer.bias == 0).all()
    with torch.no_grad():
        assert reach[0] < network(torch.rand(4, 1, 32, 32) * 2 - 1).std() < reach[1]


@pytest.mark.parametrize("spec", ["refiner:blocks=0", "refiner:width=0"])
def test_options_that_make_no_refiner_are_refused(spec):
    with pytest.raises(UsageError, match=r"^refiner needs blocks from 1 to 1000 and width >= 1$"):
        build_generator(spec, in_channels=3, out_channels=3)


def test_options_that_make_no_local_discriminator_are_refused():
    with pytest.raises(UsageError, match=r"^local needs width >= 1$"):
        build_discriminator("local:width=0", in_channels=3)
