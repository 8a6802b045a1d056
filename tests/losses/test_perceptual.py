import io
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers
from torchvision.transforms import Normalize

from i2i.errors import UsageError
from i2i.losses import Perceptual
from i2i.optional import load_efficientnet_lite0

FILE = "vgg19-dcbb9e9d.pth"
WEIGHTS = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]


@pytest.fixture(scope="module")
def vgg():
    """VGG-19's convolutions with random weights."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["E"])
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, 0, 0.1)
    return layers.requires_grad_(False)


@pytest.fixture(scope="module")
def home(vgg, tmp_path_factory):
    """A torch home whose file of weights holds those, and some of the classifier, which nobody needs."""
    folder = tmp_path_factory.mktemp("torch")
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    state = {f"features.{name}": value for name, value in vgg.state_dict().items()}
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, folder / "hub" / "checkpoints" / FILE)
    return folder


@pytest.fixture
def perceptual(home, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(home))
    return Perceptual()


@pytest.fixture
def efficientnet():
    return Perceptual("efficientnet-lite0")


@pytest.fixture(params=["perceptual", "efficientnet"])
def either(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A torch home without weights; what is fetched nonetheless fails."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    answer(monkeypatch, URLError("no route to it"))
    return tmp_path / "hub" / "checkpoints"


def answer(monkeypatch, with_what):
    """What the network answers from now on: an error or bytes."""

    def urlopen(_):
        if isinstance(with_what, Exception):
            raise with_what
        reply = io.BytesIO(with_what)
        reply.info = Message
        return reply

    monkeypatch.setattr("torch.hub.urlopen", urlopen)


def pictures(count=2, channels=3, seed=0):
    return torch.rand(count, channels, 32, 48, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_is_the_weighted_l1_of_five_layers_of_an_image_normalised_as_torchvision_does(perceptual, vgg):
    preset = VGG19_Weights.IMAGENET1K_V1.transforms()
    normalize = Normalize(preset.mean, preset.std)
    slices = [vgg[:2], vgg[2:7], vgg[7:12], vgg[12:21], vgg[21:30]]
    x, y = pictures(seed=1), pictures(seed=2)
    total, one, other = 0, normalize((x + 1) / 2), normalize((y + 1) / 2)
    for weight, part in zip(WEIGHTS, slices, strict=True):
        assert isinstance(part[-1], nn.ReLU)
        one, other = part(one), part(other)
        total += weight * (one - other).abs().mean()
    assert one.shape == (2, 512, 2, 3)
    torch.testing.assert_close(perceptual(x, y), total)
    assert perceptual(x, y).shape == ()


def test_equal_images_are_at_distance_0_and_others_further_the_more_they_differ(either):
    x, noise = pictures(seed=1), pictures(seed=2)
    assert either(x, x).item() == 0
    distances = [either(x + share * noise, x).item() for share in (0.05, 0.1, 0.2)]
    assert 0 < distances[0] < distances[1] < distances[2]
    torch.testing.assert_close(either(x, noise), either(noise, x))


def test_gradients_reach_the_image_alone(either):
    image, target = (pictures(seed=seed).requires_grad_() for seed in (1, 2))
    either(image, target).backward()
    assert image.grad.abs().sum() > 0
    assert target.grad is None
    assert not any(parameter.requires_grad for parameter in either._network.parameters())


def test_grey_is_the_same_grey_in_colour(either):
    x, y = pictures(channels=1, seed=1), pictures(channels=1, seed=2)
    torch.testing.assert_close(either(x, y), either(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels_are_refused(either, channels):
    x = pictures(channels=channels)
    with pytest.raises(UsageError, match=f"compares colour or grey images, not {channels} channels; .*_weight=0$"):
        either(x, x)


def test_images_too_small_for_the_network_are_refused(efficientnet):
    small = torch.zeros(1, 3, 16, 48)
    with pytest.raises(UsageError, match="needs images of 32 px or more; leave it out with perceptual_weight=0"):
        efficientnet(small, small)


def test_bfloat16_gives_nearly_the_same_in_float32(either):
    x, y = pictures(seed=1), pictures(seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        distance = either(x.bfloat16(), y.bfloat16())
    assert distance.dtype == torch.float32
    torch.testing.assert_close(distance, either(x, y), rtol=0.02, atol=0)


def test_efficientnet_compares_unit_vectors_at_five_depths(efficientnet):
    x, y = pictures(seed=1), pictures(seed=2)
    network, seen = load_efficientnet_lite0(needed_by="this test", requested_by="")[0], []
    hooks = [
        network._blocks[index].register_forward_hook(lambda _, __, output: seen.append(output))
        for index in (0, 2, 4, 10, 15)
    ]
    for images in (x, y):
        network.extract_features(((images + 1) * 127.5 - 127) / 128)
    for hook in hooks:
        hook.remove()
    assert [tuple(layer.shape[2:]) for layer in seen[:5]] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 1)]
    cosines = [nn.functional.cosine_similarity(one, other) for one, other in zip(seen[:5], seen[5:], strict=True)]
    # The squared distance of unit vectors is 2 - 2 cos.
    torch.testing.assert_close(efficientnet(x, y), sum((2 - 2 * cosine).mean() for cosine in cosines))


def test_it_is_not_a_submodule(either):
    holder = nn.Module()
    holder.perceptual = either
    assert list(holder.modules()) == [holder]
    assert not holder.state_dict()


def test_it_keeps_no_more_than_it_needs(perceptual):
    # The sixteen convolutions of VGG-19 less the three after relu5_1, and none of its 124 M classifier.
    kept = list(perceptual._network.parameters())
    assert sum(p.numel() for p in kept) == sum(p.numel() for p in make_layers(cfgs["E"])[:30].parameters())
    assert len(kept) == 2 * 13


def test_without_weights_and_network_it_says_what_is_missing_and_where(empty):
    with pytest.raises(UsageError) as caught:
        Perceptual()
    assert str(caught.value) == (
        "the perceptual term of vgg19 needs torchvision's weights of VGG-19 (548 MB), which can't be loaded (<urlopen "
        f"error no route to it>); put them at {empty / FILE}, use perceptual_network=efficientnet-lite0, which needs "
        "no download, or leave the term out with perceptual_weight=0"
    )
    assert list(empty.iterdir()) == []


def test_weights_that_came_damaged_are_refused_and_not_kept(empty, monkeypatch):
    answer(monkeypatch, b"half of them")
    with pytest.raises(UsageError, match=r"\(invalid hash value .*\); put them at .*perceptual_weight=0$"):
        Perceptual()
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not weights at all", None], ids=["empty", "text", "others"])
def test_a_file_that_holds_something_else_is_refused(empty, content):
    empty.mkdir(parents=True)
    if content is None:
        torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, empty / FILE)
    else:
        (empty / FILE).write_bytes(content)
    with pytest.raises(UsageError, match=rf"can't be loaded \(.+\); put them at .*{FILE}, use") as caught:
        Perceptual()
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_follows_the_images_to_their_device(perceptual):
    x, y = pictures(seed=1), pictures(seed=2)
    here = perceptual(x, y)
    torch.testing.assert_close(perceptual(x.cuda(), y.cuda()).cpu(), here, rtol=1e-3, atol=0)
    torch.testing.assert_close(perceptual(x, y), here)


@pytest.mark.download
@pytest.mark.skipif(
    not (Path(torch.hub.get_dir()) / "checkpoints" / FILE).is_file(), reason="needs torchvision's weights of VGG-19"
)
def test_the_true_weights_penalise_noise_more_than_brightness():
    line = torch.linspace(0, 8, 64)
    x = 0.5 * torch.sin(line)[:, None].mul(torch.cos(line)).expand(1, 3, 64, 64)
    signs = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()
    perceptual = Perceptual()
    assert 0 < perceptual(x + 0.1, x) < perceptual(x + 0.1 * signs, x)
