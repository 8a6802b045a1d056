import inspect
import itertools
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from i2i.inference.tiling.exact import ExactTiler
from i2i.inference.tiling.receptive_field import segments_of
from i2i.networks import Generator, build_generator, generators
from i2i.spec import Spec

SMALL = {"width": 4, "depth": 2, "blocks": 1, "enhancers": 1, "enhancer_blocks": 1}
VARIANTS = [
    "",
    "norm=none",
    "norm=instance",
    "norm=batch",
    "norm=batch,norm_at_inference=running",
    "norm=virtual",
    "latent=4",
    "spectral=true",
    "down=blur,up=bilinear",
    "up=resize",
    "dropout=0.5,norm=batch,dropout_at_inference=true",
]
# Of images, and of tiles, which are at least the receptive field.
ONE_TILE, SMALL_TILES, TILES = ((48, 48), 1000), ((40, 88), 1), ((88, 40), 24)


class Row(Generator):
    """Layers in sequence that keep the size."""

    def __init__(self, *layers, channels=1, smallest=1, joined=True):
        super().__init__()
        self.in_channels = self.out_channels = channels
        self.smallest, self.joined = smallest, joined
        self.layers = nn.Sequential(*layers)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.layers(x)

    def stages(self):
        return [self] if self.joined else list(self.layers)


class Everywhere(nn.Module):
    """Changes nothing, but its receptive field is the whole image."""

    def forward(self, x):
        return x + 0 * x.mean((2, 3), keepdim=True)


class Centered(nn.Module):
    """Subtracts the mean of its input."""

    def forward(self, x):
        return x - x.mean((2, 3), keepdim=True)


def small(name, variant=""):
    """The spec of a small generator with a variant's options, or None where it has no such option."""
    parameters = inspect.signature(generators[name]).parameters
    options = Spec.parse(f"{name}:{variant}").options
    if not options.keys() <= parameters.keys():
        return None
    return str(Spec(name, {**{n: v for n, v in SMALL.items() if n in parameters}, **options}))


def cases():
    """Specs and sizes: every generator with every variant that it has, each of them with both sizes of tiles."""
    for turn, variant in enumerate(VARIANTS):
        specs = [spec for name in generators if (spec := small(name, variant))]
        for index in range(max(2, len(specs))):
            yield specs[index % len(specs)], (SMALL_TILES, TILES)[(index + turn) % 2]
    yield from ((small(name), ONE_TILE) for name in generators)


def build(spec, seed=0):
    """A network with weights large enough for its outputs to differ, and with its reference batch."""
    torch.manual_seed(seed)
    generator = build_generator(spec, in_channels=3, out_channels=2)
    for parameter in generator.parameters():
        parameter *= 5 if parameter.dim() > 1 else 1
    generator(scene(3, (32, 32)), *latents(generator, 3))
    return generator.eval()


def scene(count, size, channels=3):
    """Images whose tone and contrast change from place to place: (count, channels, *size)."""
    texture = torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    down, across = (torch.linspace(-1, 1, side) for side in size)
    tone = 0.6 * across + 0.2 * down[:, None]
    order = torch.linspace(1, -1, count)[:, None, None, None] if count > 1 else 1
    return order * tone + 0.2 * (1.2 + across) / 2 * texture


def latents(generator, count):
    if not generator.latent:
        return ()
    return (torch.randn(count, generator.latent, generator=torch.Generator().manual_seed(2)),)


def tiled(generator, x, tile, *, shown=None, on_progress=None):
    """Translate an image (N, C, H, W) in tiles; each pixel of the result is written once."""
    result = x.new_full((len(x), generator.out_channels, *x.shape[2:]), torch.nan)
    given = torch.zeros(x.shape[2:], dtype=torch.int)

    def read(rows, columns):
        if shown is not None:
            shown.append((rows.stop - rows.start, columns.stop - columns.start))
        return x[:, :, rows, columns]

    def write(piece, top, left):
        rows, columns = slice(top, top + piece.shape[2]), slice(left, left + piece.shape[3])
        result[:, :, rows, columns] = torch.as_tensor(piece)
        given[rows, columns] += 1

    latent = next(iter(latents(generator, len(x))), None)
    ExactTiler(generator, torch.device("cpu")).translate(
        read, write, x.shape[2:], tile=tile, z=None if latent is None else latent.numpy(), on_progress=on_progress
    )
    assert (given == 1).all()
    return result


def apart(generator, x, tile, *, seams=0):
    """Tiles side by side, each normalised by its own statistics, in windows that reach `seams` pixels further."""
    height, width = x.shape[2:]
    result = x.new_empty(len(x), generator.out_channels, height, width)
    for top, left in itertools.product(range(0, height, tile), range(0, width, tile)):
        first, start = max(top - seams, 0), max(left - seams, 0)
        y = generator(x[:, :, first : top + tile + seams, start : left + tile + seams])
        result[:, :, top : top + tile, left : left + tile] = y[:, :, top - first :, left - start :][..., :tile, :tile]
    return result


def psnr(result, expected):
    """In dB, of images in [-1, 1]."""
    return (4 / (result - expected).double().square().mean()).log10().item() * 10


def assert_same_image(result, expected):
    """Equal up to the rounding of float32, however faint the image is."""
    assert expected.std() > 0
    assert (result - expected).abs().max() <= 1e-4 * expected.std()


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("spec", "sizes"), list(cases()))
def test_tiles_make_the_whole_image(spec, sizes):
    generator, (size, tile) = build(spec), sizes
    radius = max(segment.radius for segment in segments_of(generator))
    x = scene(2, size)
    expected = generator(x, *latents(generator, 2))
    assert (expected[0] - expected[1]).abs().max() > 0.1 * expected.std()
    assert_same_image(tiled(generator, x, max(tile, radius)), expected)


@pytest.mark.parametrize("tile", [1, 3, 8])
def test_tiles_may_be_smaller_than_the_receptive_field_of_a_segmented_network(tile):
    generator = build(small("resnet", "norm=instance"))
    x = scene(2, (16, 36))
    assert len(segments_of(generator)) > 1
    assert_same_image(tiled(generator, x, tile), generator(x))


@pytest.mark.parametrize("spec", [spec for name in generators if (spec := small(name, "norm=virtual"))])
def test_a_loaded_network_in_tiles_goes_by_its_reference(spec):
    generator = build(spec)
    loaded = build_generator(spec, in_channels=3, out_channels=2).eval()
    loaded.load_state_dict(generator.state_dict())
    x = scene(1, (48, 96))
    assert_same_image(tiled(loaded, x, 40), generator(x))


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("name", [name for name in generators if small(name, "norm=batch")])
def test_statistics_of_each_tile_would_give_another_image(name, norm):
    generator = build(small(name, f"norm={norm}"))
    x = scene(1, (80, 120))
    expected = generator(x)
    assert psnr(apart(generator, x, 40, seams=40), expected) < 30
    assert psnr(tiled(generator, x, 40), expected) > 90


def test_the_window_of_a_tile_is_as_wide_as_the_receptive_field():
    generator = build(small("unet", "norm=instance"))
    (part,) = segments_of(generator)
    around = -(-part.radius // 4) * 4
    shown = []
    tiled(generator, scene(1, (96, 200)), 24, shown=shown)
    assert max(map(max, shown)) == 24 + 2 * around < 96


class TestReceptiveFieldWiderThanATile:
    def test_blended_tiles_are_nearer_to_the_whole_than_tiles_with_their_own_statistics(self):
        generator = build("unet:depth=4,width=4,norm=instance,dropout=0")
        x = scene(1, (96, 192))
        (part,), expected = segments_of(generator), generator(x)
        assert part.radius > 24
        ours = psnr(tiled(generator, x, 24), expected)
        assert ours > psnr(apart(generator, x, 32), expected) + 10
        assert ours > psnr(apart(generator, x, 32, seams=16), expected) + 6

    @pytest.mark.parametrize(("size", "tile"), [((40, 56), 16), ((33, 21), 8), ((21, 70), 12)])
    def test_a_flat_image_stays_flat(self, size, tile):
        torch.manual_seed(0)
        far = [nn.ReflectionPad2d(20), nn.Conv2d(1, 2, 41), nn.ReLU(), nn.Conv2d(2, 1, 1)]
        generator = Row(*far, smallest=21).eval()
        y = tiled(generator, torch.full((1, 1, *size), 0.7), tile)
        assert segments_of(generator)[0].radius == 20
        torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y), rtol=1e-5, atol=1e-5)
        assert y.abs().min() > 0.01

    def test_there_are_no_seams(self):
        # A blurred image: between neighbours it changes little, at the edges of tiles no more than elsewhere.
        far = [nn.ReflectionPad2d(20), nn.Conv2d(1, 1, 41, bias=False), nn.InstanceNorm2d(1)]
        generator = Row(*far, smallest=21).eval()
        generator.layers[1].weight.fill_(1 / 41**2)
        x = scene(1, (32, 160), channels=1)
        steps = [y.diff(dim=3).abs().max() for y in (generator(x), tiled(generator, x, 16), apart(generator, x, 32))]
        assert steps[1] < 2 * steps[0]
        assert steps[2] > 10 * steps[0]

    def test_differences_between_tiles_are_blended(self):
        # A slope less the mean of the window: its tiles lie 16 steps apart, which 8 pixels have to bridge.
        x = torch.linspace(-1, 1, 160).expand(1, 1, 32, 160)
        generator = Row(Centered()).eval()
        step = x.diff(dim=3).max()
        assert apart(generator, x, 16).diff(dim=3).abs().max() > 10 * step
        assert tiled(generator, x, 16).diff(dim=3).abs().max() < 3 * step

    @pytest.mark.parametrize("generator", [Row(Everywhere()), Row(nn.Conv2d(1, 1, 41, padding=20))])
    def test_the_window_of_a_blended_tile_is_twice_as_wide(self, generator):
        shown = []
        tiled(generator.eval(), scene(1, (50, 80), channels=1), 16, shown=shown)
        assert max(map(max, shown)) == 32

    @pytest.mark.parametrize("tile", [1, 3, 4, 5, 7, 16])
    def test_weights_add_up_to_one(self, tile):
        generator = Row(Everywhere(), channels=3).eval()
        assert segments_of(generator)[0].radius is None
        for width in (1, 2, 15, 17, 31, 33, 50):
            x = scene(2, (19, width))
            torch.testing.assert_close(tiled(generator, x, tile), x, rtol=0, atol=1e-6)

    def test_no_tile_is_too_narrow_to_fade(self):
        # 18 tiles of at most 16: were 17 of them 16 wide, the last would be 1.
        x = scene(1, (17, 273))
        torch.testing.assert_close(tiled(Row(Everywhere(), channels=3).eval(), x, 16), x, rtol=0, atol=1e-6)


def test_a_pointwise_network_without_norms_is_exact():
    x = scene(2, (23, 41))
    for tile in (1, 7, 23, 50):
        assert torch.equal(tiled(Row(nn.Identity(), channels=3).eval(), x, tile), x)


@pytest.mark.parametrize("spec", [small(name) for name in generators])
def test_the_network_is_left_as_it_was(spec):
    generator = build(spec)
    before = {key: value.clone() for key, value in generator.state_dict().items() if isinstance(value, torch.Tensor)}
    kinds, state = [type(module) for module in generator.modules()], torch.get_rng_state()
    tiled(generator, scene(1, (48, 48)), 16)
    assert [type(module) for module in generator.modules()] == kinds
    after = generator.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not generator.training


@pytest.mark.parametrize("tile", [16, 20, 1000])
@pytest.mark.parametrize("name", generators)
def test_steps_grow_to_one(name, tile):
    shares = []
    tiled(build(small(name)), scene(1, (48, 80)), tile, on_progress=shares.append)
    assert all(a < b for a, b in itertools.pairwise([0, *shares]))
    assert shares[-1] == 1
    assert len(shares) > 4 or tile == 1000


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's list of open files")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The temporary folder, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def opened(folder):
    """How many files in a folder this process has open, those without a name too."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(one.readlink()))
        except OSError:
            continue  # the list itself
    return sum(link.startswith(str(folder)) for link in links)


@needs_proc
def test_feature_files_are_removed_afterwards(folder):
    generator = build("resnet:width=4,blocks=4")
    assert len(segments_of(generator)) == 6
    counts = []
    tiled(generator, scene(1, (32, 32)), 16, on_progress=lambda _: counts.append(opened(folder)))
    assert max(counts) == 2  # what a part reads and what it gives, but nothing older
    assert opened(folder) == 0
    assert list(folder.iterdir()) == []


@needs_proc
def test_feature_files_are_removed_after_an_error(folder):
    def stop(share):
        if share > 0.5:
            assert opened(folder) > 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiled(build(small("resnet")), scene(1, (32, 32)), 16, on_progress=stop)
    assert opened(folder) == 0
    assert list(folder.iterdir()) == []


@needs_proc
def test_a_full_temporary_folder_is_an_error_and_nothing_is_left(folder):
    resource = pytest.importorskip("resource", reason="needs a limit to the size of files")
    generator, x = build(small("resnet")), scene(1, (64, 64))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # of 16 channels at 16 x 16, which are 16 KiB
    try:
        with pytest.raises(OSError, match="File too large"):
            tiled(generator, x, 16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert opened(folder) == 0
    assert list(folder.iterdir()) == []
    assert_same_image(tiled(generator, x, 16), generator(x))
