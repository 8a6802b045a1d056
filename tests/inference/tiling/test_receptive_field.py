import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from i2i.inference.footprint import memory_per_pixel
from i2i.inference.tiling.receptive_field import Segment, segments_of
from i2i.networks import Generator, build_generator, generators
from i2i.spec import Spec

SMALL = {"width": 4, "depth": 3, "blocks": 2, "enhancers": 1, "enhancer_blocks": 1}


class Row(Generator):
    """Layers in sequence, which are its stages unless it is `joined`."""

    def __init__(self, *layers, multiple=1, smallest=1, joined=False):
        super().__init__()
        self.in_channels = self.out_channels = 1
        self.multiple, self.smallest, self.joined = multiple, smallest, joined
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)

    def stages(self):
        return [self] if self.joined else list(self.layers)


class Centered(nn.Module):
    """Subtracts the mean of the whole image."""

    def forward(self, x):
        return x - x.mean((2, 3), keepdim=True)


def convolution(kernel=3, before=1, after=1, **options):
    return nn.Conv2d(before, after, kernel, padding=options.get("dilation", 1) * (kernel // 2), **options)


def norm(channels=1):
    return nn.InstanceNorm2d(channels)


def small(name, **options):
    """A small generator with these options, or None where it has no such option."""
    parameters = inspect.signature(generators[name]).parameters
    if not options.keys() <= parameters.keys():
        return None
    options = {"in_channels": 3, "out_channels": 3, **options}
    chosen = {**{n: v for n, v in SMALL.items() if n in parameters}, **options}
    return build_generator(Spec(name, chosen)).eval()


NAMES = list(generators)


@pytest.mark.parametrize(
    ("layers", "radius"),
    [
        ([convolution(1)], 0),
        ([convolution(7)], 3),
        ([convolution(), convolution(), convolution()], 3),
        ([convolution(), nn.ReLU(), convolution(5), nn.Tanh()], 3),
        ([nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(1, 1, 4)], 2),
        ([convolution(3, dilation=5), convolution()], 6),
        ([convolution(3, dilation=100)], 100),
        ([nn.MaxPool2d(5, stride=1, padding=2)], 2),
        ([convolution(41)], 20),
        ([nn.Conv2d(1, 1, (41, 1), padding=(20, 0))] * 15, 300),
        ([Centered()], None),
        ([convolution(), Centered(), convolution()], None),
    ],
)
def test_receptive_field_of_a_network_without_norms(layers, radius):
    (part,) = segments_of(Row(*layers).eval())
    assert part == Segment(0, len(layers), (), radius, 1, 1)


def test_receptive_field_of_each_norm():
    layers = [convolution(5), norm(), nn.ReLU(), convolution(), norm(), convolution(7)]
    assert segments_of(Row(*layers, joined=True).eval()) == (Segment(0, 1, (2, 3), 6, 1, 1),)


def test_the_receptive_field_of_a_norm_after_a_global_mean_is_unbounded():
    layers = [convolution(), norm(), Centered(), norm()]
    assert segments_of(Row(*layers, joined=True).eval()) == (Segment(0, 1, (1, None), None, 1, 1),)


def test_segments_end_after_each_convolution():
    layers = [convolution(5, after=2), norm(2), nn.ReLU(), convolution(3, 2, 3), norm(3), convolution(7, 3, 1)]
    assert segments_of(Row(*layers).eval()) == (
        Segment(0, 1, (), 2, 2, 1),
        Segment(1, 4, (0,), 1, 3, 1),
        Segment(4, 6, (0,), 3, 1, 1),
    )


def test_strides_widen_receptive_fields_and_segments_end_at_the_smallest_features():
    # At half the size place j sees pixels 2j - 1 to 2j + 1, and after the second convolution 2j - 3 to 2j + 3. So the
    # two pixels 2k and 2k + 1 are seen by places up to k + 1 and k + 2, which are pixels up to 2k + 3 and 2k + 5.
    layers = [
        convolution(3, 1, 4, stride=2),
        norm(4),
        convolution(3, 4, 2),
        norm(2),
        nn.Upsample(scale_factor=2),
        convolution(3, 2, 1),
    ]
    assert segments_of(Row(*layers, multiple=2, joined=True).eval()) == (Segment(0, 1, (2, 4), 5, 1, 1),)
    assert segments_of(Row(*layers, multiple=2).eval()) == (
        Segment(0, 1, (), 2, 4, 0.5),
        Segment(1, 3, (0,), 2, 2, 0.5),
        Segment(3, 6, (0,), 1, 1, 1),
    )


def test_segments_are_measured_once_for_each_network():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x

    network, other = (Row(Counted(), convolution(size)).eval() for size in (3, 5))
    first = segments_of(network)
    tried = len(calls)
    assert tried > 0
    assert segments_of(network) is first
    assert len(calls) == tried
    assert [part.radius for part in segments_of(other)] == [2]


@pytest.mark.parametrize("options", [{}, {"norm": "instance"}, {"norm": "batch"}, {"norm": "virtual"}])
@pytest.mark.parametrize("name", NAMES)
def test_segments_cover_all_stages_without_gaps(name, options):
    network = small(name, **options)
    if network is None:
        return
    parts = segments_of(network)
    assert parts[0].start == 0
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert parts[-1].stop == len(network.stages())
    assert (parts[-1].channels, parts[-1].scale) == (3, 1)
    held = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d) or hasattr(m, "at_inference")]
    assert bool(sum(len(part.norm_radii) for part in parts)) == bool(held or options.get("norm") == "virtual")
    assert not any(seen is None for part in parts for seen in (part.radius, *part.norm_radii))


@pytest.mark.parametrize("name", [name for name in NAMES if small(name, norm=None)])
def test_a_network_without_norms_is_not_cut(name):
    (part,) = segments_of(small(name, norm=None))
    assert part.norm_radii == ()


def test_a_resnet_is_cut_at_each_of_its_blocks():
    # The second halving, three blocks, and what follows: 3 + 2 x 1 + 4 x 1 pixels before the first cut, 8 in a block.
    parts = segments_of(small("resnet", blocks=3, norm="instance"))
    assert [part.scale for part in parts] == [0.25] * 4 + [1]
    assert [len(part.norm_radii) for part in parts] == [2, 3, 2, 2, 2]
    assert [part.channels for part in parts] == [16] * 4 + [3]
    assert [part.radius for part in parts[1:4]] == [8, 8, 8]


@pytest.mark.parametrize("name", NAMES)
def test_measuring_changes_neither_the_network_nor_the_random_state(name):
    network = small(name)
    before = {key: value.clone() for key, value in network.state_dict().items() if isinstance(value, torch.Tensor)}
    kinds, state = [type(module) for module in network.modules()], torch.get_rng_state()
    segments_of(network)
    memory_per_pixel(network)
    assert [type(module) for module in network.modules()] == kinds
    assert not any(module._forward_hooks for module in network.modules())
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_is_that_of_four_times_the_largest_output():
    # 6 values for a pixel, then 32 for each 2 x 2, which are 8 for a pixel, of 4 bytes each.
    network = Row(convolution(3, 1, 6), convolution(3, 6, 32, stride=2), nn.ConvTranspose2d(32, 1, 2, 2), multiple=2)
    assert memory_per_pixel(network.eval()) == 4 * 4 * 8


def test_memory_of_a_network_whose_layers_are_not_modules():
    class Bare(Row):
        def forward(self, x):
            return F.conv2d(x, self.layers[0].weight, padding=1)

    assert memory_per_pixel(Bare(convolution(3, 1, 5)).eval()) == 4 * 4 * 5


def test_memory_does_not_depend_on_the_reference_batch():
    network = small("resnet", norm="virtual").train()
    before = memory_per_pixel(small("resnet", norm="virtual"))
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))
    loaded = small("resnet", norm="virtual")
    loaded.load_state_dict(network.state_dict())
    assert memory_per_pixel(loaded) == before
