import pytest
import torch
from torch import nn

from i2i.errors import UsageError
from i2i.networks import Backbones, build_generator
from i2i.spec import Spec


def build(options, channels=(3, 2)):
    torch.manual_seed(0)
    return build_generator(f"coarse_to_fine:{options}", in_channels=channels[0], out_channels=channels[1])


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def convolution(before, after, kernel):
    """Weights and biases; instance norm has none."""
    return before * after * kernel**2 + after


def published_size(width, *, blocks, enhancers, enhancer_blocks, depth=4, channels=3):
    """Wang et al. 2018, appendix: each level c7s1, as many d as u, R, and the outermost's c7s1 to the output."""
    count, levels = 0, [(width, depth, blocks)]
    levels += [(width // 2**n, 1, enhancer_blocks) for n in range(1, enhancers + 1)]
    for wide, halvings, residuals in levels:
        count += convolution(channels, wide, 7)
        for _ in range(halvings):
            count += convolution(wide, 2 * wide, 3) + convolution(2 * wide, wide, 3)
            wide *= 2
        count += residuals * 2 * convolution(wide, wide, 3)
    return count + convolution(levels[-1][0], channels, 7)


@pytest.mark.parametrize(("enhancers", "count"), [(0, 182_443_267), (1, 182_701_827), (2, 182_766_595)])
def test_published_sizes(enhancers, count):
    with torch.device("meta"):
        generator = build_generator(f"coarse_to_fine:enhancers={enhancers}", in_channels=3, out_channels=3)
    assert size(generator) == count
    assert published_size(64, blocks=9, enhancers=enhancers, enhancer_blocks=3) == count


def test_widths_halve_and_blocks_are_counted_level_by_level():
    generator = build("width=8,depth=3,blocks=2,enhancers=2,enhancer_blocks=1")
    levels = [
        [m for m in level.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)] for level in generator.levels
    ]
    widths = [[layer.out_channels for layer in layers] for layers in levels]
    assert widths[0] == [8, 16, 32, 64] + 4 * [64] + [32, 16, 8]
    assert widths[1] == [4, 8] + 2 * [8] + [4]
    assert widths[2] == [2, 4] + 2 * [4] + [2]
    assert generator.last[1].weight.shape == (2, 2, 7, 7)


@pytest.mark.parametrize(("depth", "enhancers"), [(1, 0), (1, 1), (2, 1), (1, 2), (4, 0), (3, 1)])
def test_the_multiple_and_the_smallest_size_are_exact(depth, enhancers):
    generator = build(f"width=4,blocks=1,enhancer_blocks=1,depth={depth},enhancers={enhancers}").train()
    multiple = 2 ** (depth + enhancers)
    assert (generator.multiple, generator.smallest) == (multiple, 2 * multiple)
    for sides in ((2, 2), (2, 3), (5, 2)):
        x = torch.rand(1, 3, *(side * multiple for side in sides))
        assert generator(x).shape == (1, 2, *x.shape[2:])
    with pytest.raises((RuntimeError, ValueError), match=r"[Pp]adding size|spatial element"):
        generator(torch.rand(1, 3, 2 * multiple, multiple))
    for more in range(1, multiple):
        x = torch.rand(1, 3, 2 * multiple, 2 * multiple + more)
        try:
            y = generator(x)
        except RuntimeError:  # the features of two levels don't match
            continue
        assert y.shape[2:] != x.shape[2:]


def test_the_network_inside_sees_the_image_at_half_the_size():
    generator = build("width=4,depth=1,blocks=1,enhancers=2,enhancer_blocks=1,norm=none")
    seen = []
    for level in generator.levels:
        level.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.rand(2, 3, 32, 48)
    generator(x)
    half = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
    for given, wanted in zip(seen, [half(half(x)), half(x), x], strict=True):
        torch.testing.assert_close(given, wanted)
    seen.clear()
    generator(torch.full((1, 3, 32, 48), 0.5))
    assert [given.shape[2:] for given in seen] == [(8, 12), (16, 24), (32, 48)]
    assert all((given == 0.5).all() for given in seen)  # the border is no darker


def test_an_enhancer_adds_its_features_to_those_inside():
    generator = build("width=4,depth=2,blocks=2,enhancers=1,enhancer_blocks=1").eval()
    inner, outer = generator.levels
    x = torch.rand(1, 3, 16, 24)
    coarse = inner.decode(inner.encode(nn.AvgPool2d(3, 2, 1, count_include_pad=False)(x)))
    assert coarse.shape == outer.encode(x).shape == (1, 4, 8, 12)
    torch.testing.assert_close(generator(x), generator.last(outer.decode(coarse + outer.encode(x))))


def test_without_enhancers_it_is_the_global_generator_alone():
    alone = build("width=4,depth=2,blocks=2,enhancers=0").eval()
    inside = build("width=4,depth=2,blocks=2,enhancers=1").eval()
    inside.levels[0].load_state_dict(alone.levels[0].state_dict())
    x = torch.rand(1, 3, 8, 8)
    features = inside.levels[0](x, None)
    torch.testing.assert_close(alone(x), alone.last(features))


@pytest.mark.parametrize("enhancers", [0, 2])
def test_every_weight_learns(enhancers):
    generator = build(f"width=4,depth=2,blocks=1,enhancers={enhancers}")
    side = generator.smallest * 2
    generator(torch.rand(1, 3, side, side)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
    weights = [m.weight for m in generator.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(weight.grad.abs().sum() > 0 for weight in weights)


@pytest.mark.parametrize(
    "options",
    ["blocks=0", "width=0", "depth=0", "enhancers=-1", "enhancer_blocks=0", "width=6,enhancers=2", "width=1"],
)
def test_options_that_make_no_network_are_refused(options):
    with pytest.raises(UsageError, match=r"^coarse_to_fine needs .*a width that can be halved for each enhancer$"):
        build(options)


@pytest.mark.parametrize(
    ("options", "side", "message"),
    [
        ("width=4", 500, "'coarse_to_fine:depth=4' needs a multiple of 32; use image_size=512"),
        ("width=4,depth=3,enhancers=0", 100, "'coarse_to_fine:depth=3' needs a multiple of 8; use image_size=96"),
        ("width=4", 32, "use image_size=64"),
    ],
)
def test_a_training_size_that_does_not_fit_is_refused(options, side, message):
    backbones = Backbones(Spec.parse(f"coarse_to_fine:{options}"), Spec.parse("patchgan"), image_size=side)
    with pytest.raises(UsageError, match=f"^image size {side}: .*{message}"):
        backbones.generator(3, 3)


def test_it_takes_no_latent_and_has_no_features_to_contrast():
    backbones = Backbones(Spec.parse("coarse_to_fine:width=2,blocks=1"), Spec.parse("patchgan"), image_size=64)
    with pytest.raises(UsageError, match="'coarse_to_fine' takes no latent"):
        backbones.generator(3, 3, latent=8)
    with pytest.raises(UsageError, match="'coarse_to_fine' has no features to contrast"):
        backbones.generator(3, 3).features(torch.zeros(1, 3, 64, 64))
