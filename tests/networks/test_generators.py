import inspect

import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.networks import Backbones, Generator, build_generator, generators
from i2i.networks.layers import BatchNorm, Dropout
from i2i.spec import Spec

SMALL = {"width": 4, "depth": 3, "blocks": 2, "enhancers": 1, "enhancer_blocks": 1}
VARIANTS = [
    "norm=batch",
    "norm=batch,norm_at_inference=running",
    "norm=instance",
    "norm=none",
    "norm=virtual",
    "down=blur",
    "up=transposed",
    "up=resize",
    "up=bilinear",
    "down=blur,up=bilinear,init=xavier",
    "latent=4",
    "latent=4,where=all",
    "spectral=true",
    "dropout=0",
    "dropout=0.5,norm=batch,dropout_at_inference=true",
    "dropout=0.5,norm=instance,dropout_at_inference=false",
]


def small(name, variant=""):
    """The spec of a small generator with a variant's options, or None where it has no such option."""
    parameters = inspect.signature(generators[name]).parameters
    options = Spec.parse(f"{name}:{variant}").options
    if not options.keys() <= parameters.keys():
        return None
    return str(Spec(name, {**{n: v for n, v in SMALL.items() if n in parameters}, **options}))


def those(variant):
    """The small specs of all that have the options of a variant."""
    return [spec for name in generators if (spec := small(name, variant))]


NAMES = list(generators)
SMALL_SPECS = [spec for name in NAMES for variant in ["", *VARIANTS] if (spec := small(name, variant))]


def build(spec, seed=0, channels=(3, 2)):
    torch.manual_seed(seed)
    return build_generator(spec, in_channels=channels[0], out_channels=channels[1])


def pictures(generator, count=2, *, more=(0, 0), seed=1):
    """Images of the smallest size that the generator takes, and as many multiples more."""
    side = -(-generator.smallest // generator.multiple) * generator.multiple
    height, width = (side + extra * generator.multiple for extra in more)
    drawn = torch.rand(count, generator.in_channels, height, width, generator=torch.Generator().manual_seed(seed))
    return drawn * 2 - 1


def given(generator, count=2, **sizes):
    """What the generator takes: images and, where it has a place for them, latents."""
    x = pictures(generator, count, **sizes)
    if not generator.latent:
        return (x,)
    return x, torch.randn(count, generator.latent, generator=torch.Generator().manual_seed(sizes.get("seed", 1)))


def assert_same_image(image, other):
    """Equal up to the rounding of float32, however faint the image is."""
    assert image.std() > 0
    assert (image - other).abs().max() <= 1e-4 * image.std()


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


# Every variant at the smallest size, where the innermost map is; every backbone at another one that is not square.
@pytest.mark.parametrize(
    ("spec", "more"), [*((spec, (0, 0)) for spec in SMALL_SPECS), *((small(name), (1, 2)) for name in NAMES)]
)
def test_output_size_and_range(spec, more):
    generator = build(spec)
    taken = given(generator, more=more)
    for mode in (True, False):
        y = generator.train(mode)(*taken)
        assert y.shape == (2, 2, *taken[0].shape[2:])
        assert y.abs().max() <= 1
        assert y.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_large_weights_saturate_at_the_range(name):
    generator = build(small(name))
    for parameter in generator.parameters():
        parameter *= 50
    reach = generator(pictures(generator)).abs().max()
    assert 0.99 < reach <= 1


@pytest.mark.parametrize("name", [name for name in NAMES if build(small(name)).multiple > 1])
def test_sizes_that_are_not_a_multiple_are_refused(name):
    generator = build(small(name))
    x = torch.rand(1, 3, *(2 * [generator.smallest + generator.multiple + 1]))
    try:
        y = generator(x)
    except RuntimeError:
        return
    assert y.shape[2:] != x.shape[2:]


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_spec_round_trip_rebuilds_the_network(spec):
    generator = build(spec)
    again = build_generator(str(generator.spec))
    assert again.spec == generator.spec
    assert set(generator.spec.options) == set(inspect.signature(generators[generator.spec.name]).parameters)
    shapes = {key: value.shape for key, value in generator.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
    generator(*given(generator, seed=2))
    again.load_state_dict(generator.state_dict())
    taken = given(generator)
    torch.testing.assert_close(again.eval()(*taken), generator.eval()(*taken), rtol=0, atol=0)


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_images_are_independent_at_inference(spec):
    generator = build(spec)
    taken = given(generator, more=(1, 1))
    generator(*taken)
    generator.eval()
    together = generator(*taken)
    apart = torch.cat([generator(*(part[index : index + 1] for part in taken)) for index in range(2)])
    assert_same_image(together, apart)
    assert (together[0] - together[1]).abs().max() > 0.01 * together.std()


@pytest.mark.parametrize("spec", SMALL_SPECS)
def test_inference_is_deterministic(spec):
    generator = build(spec).eval()
    taken = given(generator, more=(1, 1))
    first = generator(*taken)
    torch.rand(7)
    assert torch.equal(generator(*taken), first)


@pytest.mark.parametrize("name", NAMES)
def test_inference_leaves_the_random_state_alone(name):
    generator = build(small(name)).eval()
    before = torch.get_rng_state()
    generator(pictures(generator))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("spec", those("norm=batch,dropout=0"))
def test_at_batch_size_1_inference_equals_training(spec):
    generator = build(spec)
    x = pictures(generator, 1, more=(1, 1))
    assert_same_image(generator(x), generator.eval()(x))


@pytest.mark.parametrize(("mode", "moved"), [("sample", False), ("running", True)])
@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "norm_at_inference=running")])
def test_running_averages_are_used_only_with_norm_at_inference_running(name, mode, moved):
    generator = build(small(name, f"norm=batch,norm_at_inference={mode}")).eval()
    x = pictures(generator, more=(1, 1))
    before = generator(x)
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        norm.running_var *= 4
        norm.running_mean += 1
    assert torch.equal(generator(x), before) is not moved


def test_batch_norm_by_running_averages_in_closed_form():
    norm = BatchNorm(2, at_inference="running").eval()
    norm.running_mean[:], norm.running_var[:] = torch.tensor([1.0, -2.0]), torch.tensor([4.0, 0.25])
    norm.weight[:], norm.bias[:] = torch.tensor([3.0, 1.0]), torch.tensor([0.5, 0.0])
    y = norm(torch.tensor([5.0, -1.0]).view(1, 2, 1, 1).expand(2, 2, 3, 3))
    torch.testing.assert_close(y[1, :, 0, 0], torch.tensor([3 * 4 / 2 + 0.5, 1 / 0.5]), rtol=1e-4, atol=0)


def test_batch_norm_by_sample_in_closed_form():
    norm = BatchNorm(1, at_inference="sample").eval()
    x = torch.tensor([[1.0, 3.0], [10.0, 50.0]]).view(2, 1, 1, 2)
    torch.testing.assert_close(norm(x).view(2, 2), torch.tensor([[-1.0, 1.0], [-1.0, 1.0]]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("at_inference", ["sample", "running"])
def test_batch_norm_in_training_normalises_the_whole_batch(at_inference):
    norm = BatchNorm(1, at_inference=at_inference).train()
    x = torch.tensor([[-1.0, -1.0], [3.0, 3.0]]).view(2, 1, 1, 2)
    torch.testing.assert_close(norm(x).view(2, 2), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), rtol=1e-4, atol=0)
    assert norm.running_mean.item() == pytest.approx(0.1)


def test_dropout_at_inference_drops_its_share_and_keeps_the_mean():
    x = torch.ones(2, 64, 16, 16)
    y = Dropout(0.25, at_inference=True, seed=0).eval()(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert torch.equal(y[0], y[1])
    assert not torch.equal(y, Dropout(0.25, at_inference=True, seed=1).eval()(x))
    assert torch.equal(Dropout(0.25, at_inference=False, seed=0).eval()(x), x)


def test_dropout_in_training_differs_from_image_to_image():
    torch.manual_seed(0)
    y = Dropout(0.5, at_inference=True, seed=0).train()(torch.ones(2, 64, 16, 16))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert (y == 0).float().mean().item() == pytest.approx(0.5, abs=0.015)
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "dropout_at_inference=true")])
def test_dropout_at_inference_is_as_the_spec_says(name):
    specs = [small(name, f"dropout={p},dropout_at_inference={at}") for p, at in ((0, "true"), (0.5, "false"))]
    without, off = (build(spec).eval() for spec in specs)
    on = build(small(name, "dropout=0.5,dropout_at_inference=true")).eval()
    x = pictures(on, more=(1, 1))
    on.load_state_dict(off.state_dict())
    assert torch.equal(without(x), off(x))
    assert (on(x) - off(x)).abs().max() > 0.01 * off(x).std()


# Convolutions of 4 x 4 with biases: down 3-64-128-256-512 x 5, up 512-1024 x 3-1024-512-256-128-3.
UNET_256 = sum(
    16 * before * after + after
    for before, after in (
        *((3, 64), (64, 128), (128, 256), (256, 512), *[(512, 512)] * 4),
        *((512, 512), *[(1024, 512)] * 3, (1024, 256), (512, 128), (256, 64), (128, 3)),
    )
)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ("unet", 54_413_955),
        ("resnet", 11_378_179),
        ("resnet:blocks=6", 7_837_699),
        ("resnet:down=blur,up=bilinear,init=xavier", 11_378_179),
        # BicycleGAN's: 8 more channels, each with kernels of 4, into the 64, 128, 256 and 5 times 512 maps of its
        # encoder; every convolution has a bias and instance norm no weights.
        ("unet:norm=instance,dropout=0,latent=8,where=all", UNET_256 + 16 * 8 * (64 + 128 + 256 + 5 * 512)),
    ],
)
def test_published_sizes(spec, count):
    with torch.device("meta"):
        generator = build_generator(spec, in_channels=3, out_channels=3)
    assert sum(parameter.numel() for parameter in generator.parameters()) == count


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "norm=batch")])
def test_weights_are_initialised_as_published(name):
    generator = build(small(name, "norm=batch,width=24"))
    layers = [m for m in generator.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    gains = torch.cat([m.weight for m in generator.modules() if isinstance(m, nn.BatchNorm2d)])
    biases = [m.bias for m in generator.modules() if getattr(m, "bias", None) is not None]
    # Within 5 standard errors of N(0, 0.02), whose share within one standard deviation is 0.6827.
    assert weights.mean().abs() < 5 * 0.02 / len(weights) ** 0.5
    assert weights.std().item() == pytest.approx(0.02, rel=5 / (2 * len(weights)) ** 0.5)
    assert (weights.abs() < 0.02).float().mean().item() == pytest.approx(0.6827, abs=2.5 / len(weights) ** 0.5)
    assert (gains.mean() - 1).abs() < 5 * 0.02 / len(gains) ** 0.5
    assert gains.std().item() == pytest.approx(0.02, rel=5 / (2 * len(gains)) ** 0.5)
    assert biases
    assert all((bias == 0).all() for bias in biases)


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "init=xavier")])
def test_init_xavier_is_glorot_and_bengios(name):
    generator = build(small(name, "init=xavier,width=24"))
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            ends = sum(layer.weight.shape[:2]) * layer.weight[0, 0].numel()
            count = layer.weight.numel()
            assert layer.weight.std().item() == pytest.approx(0.02 * (2 / ends) ** 0.5, rel=5 / (2 * count) ** 0.5)


@pytest.mark.parametrize("spec", [*those("latent=4,where=input"), *those("latent=4,where=all")])
def test_a_latent_changes_its_own_image_alone(spec):
    generator = build(spec).eval()
    assert generator.latent == 4
    assert build(generator.spec.name + ":width=4").latent == 0
    x, z = given(generator, more=(1, 1))
    y = generator(x, z)
    # The order of latents matters and so does each of their values, to the image that goes with them alone.
    assert (generator(x, z.flip(0)) - y).abs().amax((1, 2, 3)).min() > 0.01 * y.std()
    for index in range(4):
        other = z.clone()
        other[1, index] += 1
        changed = generator(x, other)
        assert_same_image(y[0], changed[0])
        assert (changed[1] - y[1]).abs().max() > 0.001 * y.std()


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "latent=4")])
def test_a_latent_is_concatenated_as_constant_channels(name):
    generator = build(small(name, "latent=4")).eval()
    x, z = given(generator)
    beside = build(small(name), channels=(7, 2)).eval()
    beside.load_state_dict(generator.state_dict())
    channels = z[:, :, None, None].expand(-1, -1, *x.shape[2:])
    assert torch.equal(generator(x, z), beside(torch.cat([x, channels], dim=1)))


def test_where_all_joins_the_latent_to_every_layer_of_the_encoder():
    generator = build("unet:depth=3,width=4,norm=instance,dropout=0,latent=2,where=all")
    convolutions = [module for down in generator.down for module in down if isinstance(module, nn.Conv2d)]
    assert [c.in_channels for c in convolutions] == [3 + 2, 4 + 2, 8 + 2]
    x, z = given(generator)
    seen = []
    for down in generator.down:
        down.register_forward_hook(lambda _, taken, y: seen.append((taken[0], y)))
    skips = []
    for up in generator.up:
        up.register_forward_pre_hook(lambda _, taken: skips.append(taken[0].clone()))
    generator(x, z)
    for taken, _ in seen:
        assert torch.equal(taken[:, -2:], z[:, :, None, None].expand(-1, -1, *taken.shape[2:]))
    for (taken, _), (_, before) in zip(seen[1:], seen[:-1], strict=True):
        assert torch.equal(taken[:, :-2], before)
    # The decoder gets the encoder's maps without the latent.
    for skip, (_, y) in zip(skips[1:], reversed(seen[:-1]), strict=True):
        assert torch.equal(skip[:, : y.shape[1]], y)


def test_a_spec_without_the_option_where_keeps_its_meaning():
    old = "unet:in_channels=3,out_channels=3,depth=5,width=4,norm=instance,dropout=0,up=transposed,latent=8,"
    old += "spectral=false,norm_at_inference=sample,dropout_at_inference=true"
    generator = build_generator(old)
    assert (generator.spec.options["where"], generator.spec.options["init"]) == ("input", "normal")
    assert [down[-2 if 0 < n < 4 else -1].in_channels for n, down in enumerate(generator.down)] == [11, 4, 8, 16, 32]


@pytest.mark.parametrize(("size", "blocks"), [(64, 6), (128, 6), (132, 9), (256, 9), (512, 9)])
def test_a_resnet_has_as_many_blocks_as_the_papers_for_its_size(size, blocks):
    with torch.device("meta"):
        own = Backbones(Spec.parse("resnet"), Spec.parse("patchgan"), image_size=size).generator(3, 3)
        asked = Backbones(Spec.parse("resnet:blocks=9"), Spec.parse("patchgan"), image_size=size).generator(3, 3)
    assert own.spec.options["blocks"] == blocks
    assert asked.spec.options["blocks"] == 9
    assert sum(p.numel() for p in own.parameters()) == {6: 7_837_699, 9: 11_378_179}[blocks]


@pytest.mark.parametrize("name", [name for name in NAMES if not small(name, "latent=4")])
def test_a_backbone_that_takes_no_latent_is_refused(name):
    backbones = Backbones(Spec.parse(small(name)), Spec.parse("patchgan"), image_size=64)
    with pytest.raises(UsageError, match=f"'{name}' takes no latent; use generator=unet"):
        backbones.generator(3, 3, latent=4)


FEATURED = [spec for spec in SMALL_SPECS if generators[Spec.parse(spec).name].features is not Generator.features]


@pytest.mark.parametrize("spec", [spec for spec in FEATURED if "latent" not in spec])
def test_features_are_what_the_encoder_sees_on_the_way(spec):
    generator = build(spec).eval()
    x = pictures(generator, more=(1, 2))
    generator(x)  # which is the reference of virtual batch norm
    seen = []
    handles = [m.register_forward_hook(lambda _, __, y: seen.append(y)) for m in generator.modules()]
    y = generator(x)
    for handle in handles:
        handle.remove()
    features = generator.features(x)
    assert len(features) >= 3
    assert features[0] is x
    indices = [next(index for index, one in enumerate(seen) if torch.equal(one, found)) for found in features[1:]]
    assert indices == sorted(indices)
    heights = [found.shape[2] for found in features]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] < heights[0]
    assert all(len(found) == 2 for found in features)
    assert torch.equal(generator(x), y)


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("resnet:blocks=6,width=4", [(3, 16, 24), (8, 8, 12), (16, 4, 6), (16, 4, 6), (16, 4, 6)]),
        ("resnet:blocks=6,width=4,down=blur", [(3, 16, 24), (8, 16, 24), (16, 8, 12), (16, 4, 6), (16, 4, 6)]),
        ("unet:depth=3,width=4", [(3, 16, 24), (4, 8, 12), (8, 4, 6), (16, 2, 3)]),
    ],
)
def test_features_have_the_papers_sizes(spec, shapes):
    generator = build(spec)
    assert [tuple(found.shape[1:]) for found in generator.features(torch.zeros(1, 3, 16, 24))] == shapes


def test_features_of_a_unet_are_no_more_than_five():
    generator = build("unet:depth=6,width=2")
    found = generator.features(torch.zeros(1, 3, 64, 64))
    assert [tuple(one.shape[1:]) for one in found] == [(3, 64, 64), (2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]


@pytest.mark.parametrize(("blocks", "last"), [(1, 0), (3, 2), (5, 4), (9, 4)])
def test_features_of_a_resnet_end_with_the_first_and_the_fifth_block(blocks, last):
    generator = build(f"resnet:blocks={blocks},width=4")
    x = pictures(generator)
    outputs = []
    for block in (module for module in generator.layers if hasattr(module, "branch")):
        block.register_forward_hook(lambda _, __, y: outputs.append(y))
    generator(x)
    assert len(outputs) == blocks
    features = generator.features(x)
    assert len(features) == 5
    assert torch.equal(features[3], outputs[0])
    assert torch.equal(features[4], outputs[last])


@pytest.mark.parametrize("name", [name for name in NAMES if generators[name].features is Generator.features])
def test_a_backbone_without_features_is_refused(name):
    generator = build(small(name))
    with pytest.raises(UsageError, match=f"'{name}' has no features to contrast; use generator=resnet"):
        generator.features(pictures(generator))


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "spectral=true")])
def test_spectral_norm_bounds_every_convolution(name):
    generator = build(small(name, "spectral=true,norm=none"))
    for _ in range(30):  # Each training pass is one step of the power iteration.
        generator(pictures(generator))
    layers = [m for m in generator.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert layers
    for layer in layers:
        rows = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
        assert torch.linalg.matrix_norm(rows.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("up", ["resize", "bilinear"])
@pytest.mark.parametrize("name", [name for name in NAMES if small(name, "up=resize")])
def test_resize_convolution_makes_no_checkerboard(name, up):
    # With every weight equal, a flat image stays flat inside when resized; a transposed convolution of an odd kernel
    # covers its pixels unevenly (Odena et al. 2016).
    generator = build(small(name, f"up={up},norm=none,dropout=0") or small(name, f"up={up},norm=none"))
    for parameter in generator.parameters():
        parameter.fill_(1e-3)
    side = 8 * generator.multiple
    y = generator(torch.ones(1, 3, side, side))[0, 0]
    quarter = side // 4
    centre = y[quarter:-quarter, quarter:-quarter]
    assert centre.std() <= 3e-5 * centre.mean()


@pytest.mark.parametrize(
    "spec",
    [
        "unet:depth=1",
        "unet:width=0",
        "unet:dropout=1",
        "unet:dropout=-0.1",
        "unet:latent=-1",
        "resnet:blocks=0",
        "resnet:dropout=1",
    ],
)
def test_options_that_make_no_network_are_refused(spec):
    with pytest.raises(UsageError, match=f"^{spec.partition(':')[0]} needs"):
        build(spec)


@pytest.mark.parametrize(("size", "depth"), [(256, 8), (512, 8), (128, 7), (96, 5), (48, 4)])
def test_a_unet_is_as_deep_as_the_size_allows(size, depth):
    backbones = Backbones(Spec.parse("unet:width=1"), Spec.parse("patchgan"), image_size=size)
    generator = backbones.generator(3, 1)
    assert generator.spec.options["depth"] == depth
    assert (generator.in_channels, generator.out_channels) == (3, 1)


def test_a_unets_depth_may_be_chosen():
    backbones = Backbones(Spec.parse("unet:width=1,depth=4"), Spec.parse("patchgan"), image_size=256)
    assert backbones.generator(3, 3).spec.options["depth"] == 4


@pytest.mark.parametrize(
    ("spec", "size", "message"),
    [
        (
            "unet:depth=8",
            250,
            "image size 250: 'unet:depth=8' needs a multiple of 256; use image_size=256, "
            "or generator=resnet (a multiple of 4)",
        ),
        (
            "unet",
            250,
            "image size 250: 'unet:depth=8' needs a multiple of 256; use image_size=256, "
            "or generator=resnet (a multiple of 4)",
        ),
        (
            "unet:depth=5,width=4",
            100,
            "image size 100: 'unet:depth=5' needs a multiple of 32; use image_size=96, "
            "or generator=resnet (a multiple of 4)"
            "; the largest depth that fits 100 px is 2: unet:depth=2",
        ),
        ("resnet:blocks=6", 250, "image size 250: 'resnet' needs a multiple of 4; use image_size=248"),
    ],
)
def test_a_training_size_that_does_not_fit_is_refused(spec, size, message):
    backbones = Backbones(Spec.parse(spec), Spec.parse("patchgan"), image_size=size)
    with torch.device("meta"), pytest.raises(UsageError) as caught:
        backbones.generator(3, 3)
    assert str(caught.value) == message
