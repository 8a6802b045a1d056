import inspect

import pytest
import torch
from torch import Tensor, nn

from i2i.errors import UsageError
from i2i.networks import Backbones, build_discriminator, discriminators
from i2i.spec import Spec

SMALL = {"width": 4, "layers": 2}
VARIANTS = [
    "norm=batch",
    "norm=instance",
    "norm=none",
    "spectral=true",
    "scales=2",
    "layers=1",
    "down=blur",
    "down=blur,init=xavier,norm=instance",
    "minibatch=3",
    "padding=2,norm=instance",
    "scales=2,scale_width=halved",
]


def small(name, variant=""):
    """The spec of a small discriminator with a variant's options, or None where it has no such option."""
    parameters = inspect.signature(discriminators[name]).parameters
    options = Spec.parse(f"{name}:{variant}").options
    if not options.keys() <= parameters.keys():
        return None
    return str(Spec(name, {**{n: v for n, v in SMALL.items() if n in parameters}, **options}))


SMALL_SPECS = [spec for name in discriminators for variant in ["", *VARIANTS] if (spec := small(name, variant))]
SMALL_SPECS += ["patchgan:width=4,layers=0"]


def build(spec, in_channels=3, size=32):
    """A discriminator for images of 32 pixels, where one is made for a single size."""
    torch.manual_seed(0)
    return build_discriminator(spec, in_channels=in_channels, image_size=size)


def sizes_of(discriminator):
    """Its smallest size and, where it isn't made for a single one, a larger."""
    smallest = max(discriminator.smallest, 2)
    return [smallest] if "image_size" in discriminator.spec.options else [smallest, smallest + 7]


def scales_of(logits):
    return [logits] if isinstance(logits, Tensor) else list(logits)


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_every_size_from_the_smallest_on_gives_logits(spec):
    discriminator = build(spec)
    for side in sizes_of(discriminator):
        for logits in scales_of(discriminator(torch.randn(2, 3, side, side))):
            assert logits.shape[0] == 2
            assert logits[0].numel() > 0
            assert logits.isfinite().all()


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_the_spec_rebuilds_the_network(spec):
    discriminator = build(spec, 6)
    again = build_discriminator(str(discriminator.spec))
    shapes = {key: value.shape for key, value in discriminator.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
    assert set(discriminator.spec.options) == set(inspect.signature(discriminators[again.spec.name]).parameters)


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_forward_with_features_gives_the_logits_of_forward(spec):
    discriminator = build(spec).eval()
    side = sizes_of(discriminator)[-1]
    x = torch.randn(3, 3, side, side)
    logits, seen = discriminator.forward_with_features(x)
    judged = discriminator(x)
    assert len(scales_of(logits)) == len(scales_of(judged))
    assert all(torch.equal(one, other) for one, other in zip(scales_of(logits), scales_of(judged), strict=True))
    assert seen
    outputs = []
    for module in discriminator.modules():
        module.register_forward_hook(lambda _, __, y: outputs.append(y))
    discriminator(x)
    for activations in seen:
        assert len(activations) == 3
        assert activations.requires_grad
        assert any(isinstance(y, Tensor) and torch.equal(y, activations) for y in outputs)


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ("layers=0", [(4, 32), (8, 32)]),
        ("layers=2", [(4, 16), (8, 8), (16, 7)]),
        ("layers=2,down=blur", [(4, 31), (8, 15), (16, 7)]),  # what is there before a blur halves it
        ("layers=2,scales=2", [(4, 16), (8, 8), (16, 7), (4, 8), (8, 4), (16, 3)]),
    ],
)
def test_every_scale_shows_all_its_layers_but_the_last(options, shapes):
    _, seen = build(f"patchgan:width=4,{options}").forward_with_features(torch.randn(2, 3, 32, 32))
    assert [tuple(one.shape) for one in seen] == [(2, channels, side, side) for channels, side in shapes]


@pytest.mark.parametrize("side", [24, 25, 26, 27, 70])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_both_ways_of_downsampling_give_equally_many_logits(layers, side):
    x = torch.randn(1, 3, side, side)
    strided, blurred = (build(f"patchgan:layers={layers},width=2,down={down}")(x) for down in ("strided", "blur"))
    assert strided.shape == blurred.shape
    assert not torch.equal(strided, blurred)


@pytest.mark.parametrize(
    ("spec", "channels", "count"),
    [
        ("patchgan", 6, 2_768_705),
        ("patchgan:norm=instance", 3, 2_764_737),
        ("patchgan:norm=instance,down=blur,init=xavier", 3, 2_764_737),
        ("patchgan:scales=3", 6, 3 * 2_768_705),
        ("patchgan:norm=instance,padding=2", 3, 2_764_737),
        # BicycleGAN's: the second scale has 32, 64, 128, 256 maps and one, kernels of 4, each with its biases.
        (
            "patchgan:norm=instance,scales=2,scale_width=halved",
            3,
            2_764_737 + sum(16 * i * o + o for i, o in ((3, 32), (32, 64), (64, 128), (128, 256), (256, 1))),
        ),
    ],
)
def test_published_sizes(spec, channels, count):
    with torch.device("meta"):
        discriminator = build_discriminator(spec, in_channels=channels)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == count


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ("layers=0", 1),
        ("layers=1", 16),
        ("layers=2", 34),
        ("layers=3", 70),
        ("layers=4", 142),
        ("layers=5", 286),
        # From the last two convolutions' 7 on, each level sees 2 field + 1 through its blur and 3 more through its own.
        ("layers=1,down=blur", 18),
        ("layers=2,down=blur", 40),
        ("layers=3,down=blur", 84),
    ],
)
def test_receptive_field(options, field):
    discriminator = build_discriminator(f"patchgan:{options},width=1,norm=none", in_channels=1)
    for parameter in discriminator.parameters():
        nn.init.constant_(parameter, 0.1)  # Positive everywhere, so that no path cancels another.
    x = torch.ones(1, 1, 2 * field + 66, 2 * field + 66, requires_grad=True)
    logits = discriminator(x)
    centre = logits.shape[-1] // 2
    logits[0, 0, centre, centre].backward()
    touched = x.grad[0, 0] != 0
    assert touched.any(1).sum() == field
    assert touched.any(0).sum() == field
    assert touched.sum() == field**2


def test_logits_of_a_pixelgan_are_as_many_as_pixels():
    discriminator = build_discriminator("patchgan:layers=0,width=4", in_channels=3)
    assert discriminator(torch.randn(2, 3, 9, 13)).shape == (2, 1, 9, 13)


def test_a_256_image_has_30_by_30_patches_at_70_pixels():
    discriminator = build_discriminator("patchgan:width=1", in_channels=6)
    assert discriminator(torch.randn(1, 6, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("padding", "sides"), [(1, [14, 6, 2]), (2, [19, 11, 7])])
def test_padding_2_gives_pix2pixhds_maps_of_a_128_image(padding, sides):
    discriminator = build_discriminator(f"patchgan:width=1,scales=3,padding={padding}", in_channels=1)
    logits = discriminator(torch.randn(1, 1, 128, 128))
    assert [one.shape for one in logits] == [(1, 1, side, side) for side in sides]


def test_scale_width_halved_halves_the_width_of_each_coarser_scale():
    with torch.device("meta"):
        scales = build_discriminator("patchgan:width=16,scales=3,scale_width=halved", in_channels=3).scales
        narrow = build_discriminator("patchgan:width=1,scales=3,scale_width=halved", in_channels=3).scales
    assert [scale[0].out_channels for scale in scales] == [16, 8, 4]
    assert [scale[0].out_channels for scale in narrow] == [1, 1, 1]


def test_scales_run_from_fine_to_coarse():
    discriminator = build_discriminator("patchgan:layers=1,width=2,scales=3,norm=none", in_channels=3)
    x = torch.randn(2, 3, 64, 64)
    logits = discriminator(x)
    assert [one.shape for one in logits] == [(2, 1, 30, 30), (2, 1, 14, 14), (2, 1, 6, 6)]
    torch.testing.assert_close(discriminator.scales[0](x), logits[0])


def test_a_coarser_scale_sees_the_mean_of_a_flat_image():
    # A mean that counted the padding would darken the border.
    discriminator = build_discriminator("patchgan:layers=0,width=2,scales=2,norm=none", in_channels=1)
    fine, coarse = discriminator(torch.full((1, 1, 8, 8), 0.5))
    assert coarse.shape == (1, 1, 4, 4)
    assert coarse.std() <= 1e-6 * coarse.abs().max()
    discriminator.scales[1].load_state_dict(discriminator.scales[0].state_dict())
    fine, coarse = discriminator(torch.full((1, 1, 8, 8), 0.5))
    torch.testing.assert_close(coarse, fine[..., :4, :4])


@pytest.mark.parametrize("down", ["strided", "blur"])
@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_below_the_smallest_size_there_is_no_patch(layers, down):
    discriminator = build_discriminator(f"patchgan:layers={layers},width=1,norm=none,down={down}", in_channels=3)
    side = discriminator.smallest
    assert discriminator(torch.randn(1, 3, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        discriminator(torch.randn(1, 3, side - 1, side - 1))


def test_weights_are_initialised_as_published():
    torch.manual_seed(0)
    discriminator = build_discriminator("patchgan:width=32", in_channels=3)
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    weights = torch.cat([layer.weight.detach().flatten() for layer in layers])
    gains = torch.cat([m.weight.detach() for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d)])
    assert weights.mean().abs() < 5 * 0.02 / len(weights) ** 0.5
    assert weights.std().item() == pytest.approx(0.02, rel=5 / (2 * len(weights)) ** 0.5)
    assert (gains.mean() - 1).abs() < 5 * 0.02 / len(gains) ** 0.5
    assert all((layer.bias == 0).all() for layer in layers if layer.bias is not None)


@pytest.mark.parametrize("spec", ["patchgan:layers=-1", "patchgan:width=0", "patchgan:scales=0"])
def test_options_that_make_no_network_are_refused(spec):
    with pytest.raises(UsageError, match=r"^patchgan needs layers from 0 to 12, width >= 1 and scales from 1 to 12$"):
        build_discriminator(spec, in_channels=3)


def test_a_training_size_that_is_too_small_is_refused():
    backbones = Backbones(Spec.parse("resnet"), Spec.parse("patchgan"), image_size=16)
    with pytest.raises(UsageError) as caught:
        backbones.discriminator(3)
    assert str(caught.value) == (
        "image size 16: 'patchgan' needs 24 pixels or more; use image_size=24, or discriminator=patchgan:layers=1"
    )
