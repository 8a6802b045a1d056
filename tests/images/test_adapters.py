"""The image contract: what comes in goes out, through tensors, arrays, PIL images and files."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal
from PIL import Image

from i2i.errors import ImageError
from i2i.images.adapters import adapt
from i2i.images.arrays import match_channels, to_pixels
from i2i.images.decoded import DecodedImage, all_channels, as_depth
from i2i.images.reading import read
from i2i.images.tensors import to_tensor
from i2i.images.writing import encode
from support.images import Same, assert_same_image, enter, made, noise, pad, png, same, translator
from support.pairwise import pairwise

DEPTHS = (np.uint8, np.uint16)


def floats(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32).astype(dtype)


def unchanged(image, channels=3):
    """The image after a network that changes nothing."""
    pixels, leave = enter(image, channels)
    assert pixels.dtype == torch.float32
    assert pixels.shape[1] == channels
    assert -1 <= pixels.min() <= pixels.max() <= 1
    return leave(pixels)


def assert_same(result, given):
    """Equal in type, depth, shape and every value."""
    assert type(result) is type(given)
    if isinstance(given, Image.Image):
        assert (result.mode, result.size, result.tobytes()) == (given.mode, given.size, given.tobytes())
    elif isinstance(given, torch.Tensor):
        assert (result.dtype, result.shape, result.device) == (given.dtype, given.shape, given.device)
        assert torch.equal(result, given)
    else:
        assert_array_equal(result, given, strict=True)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_value_comes_back(depth, channels):
    pixels = np.arange(np.iinfo(depth).max + 1, dtype=depth).reshape(16, -1, 1)
    values = to_tensor(pixels, channels)
    assert values.shape == (channels, 16, pixels.shape[1])
    assert (values.min(), values.max()) == (-1, 1)
    assert_array_equal(to_pixels(values, depth), np.repeat(pixels, channels, axis=-1), strict=True)


@pytest.mark.parametrize("depth", DEPTHS)
def test_less_than_half_a_step_is_rounded_away(depth):
    pixels = np.arange(np.iinfo(depth).max + 1, dtype=depth).reshape(16, -1, 1)
    step = 2 / np.iinfo(depth).max
    for shift in (-0.49, 0.49):
        assert_array_equal(to_pixels(to_tensor(pixels, 1).double() + shift * step, depth), pixels)


@pytest.mark.parametrize(
    ("value", "depth", "level"),
    [
        (-1.0, np.uint8, 0),
        (1.0, np.uint8, 255),
        (0.5, np.uint8, 191),  # 191.25
        (-0.5, np.uint8, 64),  # 63.75; truncated it would be 63.
        (0.25, np.uint8, 159),  # 159.375
        (0.0, np.uint8, 128),  # 127.5
        (0.5, np.uint16, 49151),  # 49151.25
        (-0.5, np.uint16, 16384),  # 16383.75
        (0.0, np.uint16, 32768),  # 32767.5
        (1.7, np.uint8, 255),
        (-40.0, np.uint8, 0),
        (float("inf"), np.uint16, 65535),
        (float("-inf"), np.uint16, 0),
    ],
)
def test_values_are_rounded_to_nearest_and_clipped(value, depth, level):
    assert_array_equal(to_pixels(torch.full((1, 1, 1), value), depth), np.array([[[level]]], depth), strict=True)


def test_pixels_are_channels_last():
    # (C, H, W) = (3, 1, 2): the first pixel is red, the second blue.
    image = torch.tensor([[[1.0, -1.0]], [[-1.0, -1.0]], [[-1.0, 1.0]]])
    assert to_pixels(image).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert torch.equal(to_tensor(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), 3), image)


def test_grey_is_repeated_where_colour_is_asked():
    assert to_tensor(np.array([[[0], [255]]], np.uint8), 3).tolist() == [[[-1, 1]]] * 3


def test_colour_is_turned_grey_by_its_luma():
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [100, 100, 100]]], np.uint8)
    expected = [2 * luma - 1 for luma in (0.299, 0.587, 0.114, 1, 100 / 255)]
    grey = to_tensor(pixels, 1)
    assert grey.shape == (1, 1, 5)
    assert grey[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def cropped(x, frame):
    return x[..., frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]


@given(
    shape=array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=9),
    multiple=st.integers(1, 16),
    smallest=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_padding_mirrors_as_numpy_does_around_the_image(shape, multiple, smallest):
    image = np.arange(np.prod(shape)).reshape(shape)
    height, width = shape if len(shape) == 2 else (1, *shape)
    x = torch.from_numpy(image.reshape(1, height, width))
    padded, frame = pad(x, multiple=multiple, smallest=smallest)

    sides = [-(-max(side, smallest) // multiple) * multiple for side in (height, width)]
    assert padded.shape == (1, *sides)
    assert (frame.height, frame.width) == (height, width)
    around = [(before, side - before - own) for side, own, before in zip(sides, (height, width), frame, strict=False)]
    assert all(0 <= after - before <= 1 for before, after in around), "the image lies in the middle"
    if len(shape) == 2:
        assert_array_equal(padded[0].numpy(), np.pad(image, around, mode="reflect"))
    else:
        assert_array_equal(padded[0, frame.top].numpy(), np.pad(image, around[1], mode="reflect"))
    assert torch.equal(cropped(padded, frame), x)


def test_padding_by_hand():
    padded, frame = pad(torch.tensor([[1, 2, 3]]), multiple=8)
    assert frame == (3, 2, 1, 3)
    assert padded.tolist() == [[3, 2, 1, 2, 3, 2, 1, 2]] * 8


def test_a_single_pixel_is_repeated_to_the_padded_size():
    padded, frame = pad(torch.full((1, 3, 1, 1), 0.5), multiple=4, smallest=6)
    assert torch.equal(padded, torch.full((1, 3, 8, 8), 0.5))
    assert torch.equal(cropped(padded, frame), torch.full((1, 3, 1, 1), 0.5))


def test_an_image_that_fits_is_not_padded():
    x = torch.rand(1, 3, 8, 16)
    padded, frame = pad(x, multiple=8, smallest=8)
    assert torch.equal(padded, x)
    assert frame == (0, 0, 8, 16)


@given(data=st.data(), depth=st.sampled_from(DEPTHS), channels=st.sampled_from([None, 1, 3, 4]))
@settings(max_examples=100, deadline=None)
def test_integer_arrays_come_back_identical(data, depth, channels):
    sides = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    array = data.draw(arrays(depth, sides if channels is None else (*sides, channels)))
    assert_same(unchanged(array), array)
    if channels in (None, 1):
        assert_same(unchanged(array, channels=1), array)


@given(data=st.data(), depth=st.sampled_from(DEPTHS), channels=st.sampled_from([1, 3, 4]), batch=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_integer_tensors_come_back_identical(data, depth, channels, batch):
    sides = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    tensor = torch.from_numpy(data.draw(arrays(depth, (*[batch] * (batch > 0), channels, *sides))))
    assert_same(unchanged(tensor), tensor)


@given(data=st.data(), channels=st.sampled_from([None, 1, 3]))
@settings(max_examples=60, deadline=None)
def test_float_arrays_and_tensors_come_back_identical(data, channels):
    sides = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    values = st.floats(-1, 1, width=32)
    array = data.draw(arrays(np.float32, sides if channels is None else (*sides, channels), elements=values))
    assert_same(unchanged(array, channels=channels or 1), array)
    if channels:
        tensor = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
        assert_same(unchanged(tensor, channels=channels), tensor)
        assert_same(unchanged(torch.stack([tensor, -tensor]), channels=channels), torch.stack([tensor, -tensor]))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_grey_arrays_of_floats_stay_grey_where_colour_is_asked(shape):
    assert_same(unchanged(floats(*shape), channels=3), floats(*shape))


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 1, 4, 5)])
def test_grey_tensors_of_floats_stay_grey_where_colour_is_asked(shape):
    tensor = torch.from_numpy(floats(*shape))
    assert_same(unchanged(tensor, channels=3), tensor)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_keep_their_type(dtype):
    assert_same(unchanged(floats(4, 5, 3, dtype=dtype)), floats(4, 5, 3, dtype=dtype))


@pytest.mark.parametrize(
    ("mode", "pixels"),
    [
        ("L", noise(5, 7)),
        ("LA", noise(5, 7, 2)),
        ("RGB", noise(5, 7, 3)),
        ("RGBA", noise(5, 7, 4)),
        ("I;16", noise(5, 7, dtype=np.uint16)),
    ],
)
def test_pil_images_come_back_identical(mode, pixels):
    image = Image.fromarray(pixels)
    assert image.mode == mode
    assert_same(unchanged(image), image)
    if "RGB" not in mode:
        assert_same(unchanged(image, channels=1), image)


@pytest.mark.parametrize(("mode", "shown"), [("P", "RGB"), ("1", "L")])
def test_palettes_and_bits_come_back_as_what_they_show(mode, shown):
    image = Image.fromarray(noise(5, 7, 3)).convert(mode)
    assert_same(unchanged(image), image.convert(shown))


@pytest.mark.parametrize(("name", "shape"), [("grey.png", (5, 7)), ("colour.tif", (5, 7, 3)), ("alpha.png", (5, 7, 4))])
def test_paths_and_bytes_give_the_pil_image_they_hold(tmp_path, name, shape):
    path, image = tmp_path / name, Image.fromarray(noise(*shape))
    image.save(path)
    for given_as in (path, str(path), path.read_bytes()):
        assert_same(unchanged(given_as), image)


def test_a_decoded_image_comes_back_with_alpha_and_profile():
    image = DecodedImage(noise(5, 7, 3, dtype=np.uint16), noise(5, 7, dtype=np.uint16, seed=1), icc=b"profile")
    result = unchanged(image)
    assert_same(result.pixels, image.pixels)
    assert_same(result.alpha, image.alpha)
    assert result.icc == b"profile"


def test_a_view_of_an_array_comes_back_identical():
    array = noise(6, 8, 3)[::-1, ::2]
    assert_same(unchanged(array), array)
    assert_same(unchanged(floats(6, 8, 3)[::-1, ::2]), floats(6, 8, 3)[::-1, ::2])


def test_the_input_is_not_changed():
    for image in (noise(4, 4, 3), floats(4, 4, 3), torch.from_numpy(floats(3, 4, 4)), torch.from_numpy(noise(3, 4, 4))):
        before = image.copy() if isinstance(image, np.ndarray) else image.clone()
        pixels, leave = enter(image, 3)
        leave(-pixels)
        assert_same(image, before)


def red(pixels):
    result = torch.full_like(pixels, -1)
    result[:, 0] = 1
    return result


def test_a_coloured_result_of_a_grey_image_is_colour():
    def coloured(image):
        pixels, leave = enter(image, 3)
        return leave(red(pixels))

    assert_same(coloured(np.zeros((1, 2), np.uint8)), np.array([[[255, 0, 0]] * 2], np.uint8))
    assert_same(coloured(np.zeros((1, 2, 1), np.uint16)), np.array([[[65535, 0, 0]] * 2], np.uint16))
    assert_same(coloured(Image.new("L", (2, 1))), Image.new("RGB", (2, 1), "red"))
    assert_same(coloured(Image.new("LA", (2, 1), (0, 9))), Image.new("RGBA", (2, 1), (255, 0, 0, 9)))
    assert_same(
        coloured(torch.zeros(1, 1, 2, dtype=torch.uint8)), torch.tensor([[[255] * 2], [[0] * 2], [[0] * 2]]).byte()
    )
    assert_same(coloured(torch.zeros(1, 1, 2)), torch.tensor([[[1.0] * 2], [[-1.0] * 2], [[-1.0] * 2]]))


def test_one_coloured_result_among_grey_ones_makes_the_batch_colour():
    pixels, leave = enter(torch.zeros(2, 1, 1, 1, dtype=torch.uint8), 3)
    result = pixels.clone()
    result[1, 0] = 1
    assert leave(result).flatten(1).tolist() == [[0, 0, 0], [255, 0, 0]]


def test_a_colour_image_whose_result_is_grey_stays_colour_where_the_network_gives_three_channels():
    pixels, leave = enter(noise(4, 5, 3), 3)
    assert leave(torch.zeros_like(pixels)).shape == (4, 5, 3)


def test_one_channel_of_colour_is_grey():
    image = Image.new("RGB", (3, 2), (100, 100, 100))
    pixels, leave = enter(image, 1)
    assert pixels.shape == (1, 1, 2, 3)
    assert_same(leave(pixels), Image.new("L", (3, 2), 100))


def test_alpha_is_carried_past_the_network():
    array = noise(4, 5, 4)
    pixels, leave = enter(array, 3)
    result = leave(torch.ones_like(pixels))
    assert_array_equal(result[..., 3], array[..., 3])
    assert (result[..., :3] == 255).all()


def test_the_profile_stays_only_with_the_kind_of_image_it_describes():
    buffer = io.BytesIO()
    Image.new("L", (2, 2), 7).save(buffer, "PNG", icc_profile=b"grey profile")
    pixels, leave = enter(buffer.getvalue(), 3)
    assert leave(pixels).info["icc_profile"] == b"grey profile"
    assert "icc_profile" not in leave(red(pixels)).info


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "NoneType is not an image"),
        ([[0, 1]], "list is not an image; for several images use"),
        (3, "int is not an image"),
        (np.zeros((2, 2), np.int64), "an array of int64; give uint8 or uint16 pixels"),
        (np.zeros((2, 2), bool), "an array of bool"),
        (np.zeros((2, 2), complex), "an array of complex128"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), "a tensor of torch.int64; give uint8 or uint16 pixels"),
        (torch.zeros(3, 2, 2, dtype=torch.bool), "a tensor of torch.bool"),
        (np.zeros(4, np.uint8), r"an array of shape \(4,\)"),
        (np.zeros((1, 1, 2, 2), np.uint8), r"an array of shape \(1, 1, 2, 2\)"),
        (torch.zeros(2, 2), r"a tensor of shape \(2, 2\)"),
        (torch.zeros(1, 1, 3, 2, 2), r"a tensor of shape \(1, 1, 3, 2, 2\)"),
        (np.zeros((0, 2, 3), np.uint8), r"an array of shape \(0, 2, 3\)"),
        (np.zeros((2, 2, 0), np.float32), r"an array of shape \(2, 2, 0\)"),
        (torch.zeros(0, 3, 2, 2), r"a tensor of shape \(0, 3, 2, 2\)"),
        (torch.zeros(3, 0, 2, dtype=torch.uint8), r"a tensor of shape \(3, 0, 2\)"),
        (np.full((2, 2, 3), 1.01, np.float32), r"floats from 1.01 to 1.01, outside of \[-1, 1\]"),
        (np.array([[0.0, 255.0]]), "floats from 0 to 255"),
        (torch.full((3, 2, 2), -1.5), "floats from -1.5 to -1.5"),
        (torch.stack([torch.zeros(3, 2, 2), torch.full((3, 2, 2), 2.0)]), "floats from 0 to 2"),
        (np.array([[0.0, np.nan]], np.float32), "some of its values are NaN or infinite"),
        (torch.tensor([[[0.0, float("nan")]]]), "some of its values are NaN or infinite"),
        (torch.full((3, 2, 2), float("inf")), "some of its values are NaN or infinite"),
        (np.zeros((2, 2, 5), np.uint8), "an image of 5 channels where 3 are needed"),
        (torch.zeros(2, 2, 2), "an image of 2 channels where 3 are needed"),
        (torch.zeros(5, 2, 2, dtype=torch.uint8), "an image of 5 channels where 3 are needed"),
        (DecodedImage(np.zeros((2, 2, 4), np.uint8)), "an image of 4 channels where 3 are needed"),
        (b"", "these bytes: an empty file"),
        ("no/such/image.png", r"no/such/image\.png: No such file"),
    ],
    ids=str,
)
def test_invalid_images_are_refused_with_the_reason(image, message):
    with pytest.raises(ImageError, match=f"^{message}"):
        enter(image, 3)


# What each format without loss holds: channels, alpha, depth.
HELD = [
    (suffix, channels, alpha, depth)
    for suffix, kinds, depths in (
        (".png", [(1, False), (1, True), (3, False), (3, True)], (np.uint8, np.uint16)),
        (".tif", [(1, False), (3, True)], (np.uint8, np.uint16, np.float32)),
        (".tif", [(1, True), (2, False), (13, False)], (np.float32,)),
        (".tif", [(3, False), (4, False)], (np.uint16,)),
        (".tif", [(5, False)], (np.uint8,)),
        (".npy", [(1, False), (4, False)], (np.float32,)),
        (".npy", [(2, False), (5, False)], (np.uint16,)),
        (".npy", [(3, False), (13, False)], (np.uint8,)),
        (".webp", [(3, False), (3, True)], (np.uint8,)),
        (".bmp", [(1, False), (3, False)], (np.uint8,)),
    )
    for channels, alpha in kinds
    for depth in depths
]
# A float32 in [0, 1] goes through [-1, 1], where its last bit is worth more.
NEAR = {np.float32: 1e-6}


def pixels_of(data, shape, depth):
    if depth == np.float32:
        return data.draw(arrays(depth, shape, elements=st.floats(0, 1, width=32)))
    return data.draw(arrays(depth, shape))


@pytest.mark.parametrize(("suffix", "channels", "alpha", "depth"), HELD)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_a_file_comes_back_identical(suffix, channels, alpha, depth, data):
    height, width = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)), label="size")
    image = DecodedImage(
        pixels_of(data, (height, width, channels), depth), pixels_of(data, (height, width), depth) if alpha else None
    )
    # Alpha goes past a network, or through one that takes it.
    network = data.draw(st.sampled_from([channels, channels + 1] if alpha else [channels]), label="network")
    tile = data.draw(st.sampled_from([None, 3, 1000]), label="tile")
    given_file = read(made(image, suffix))
    if suffix == ".webp" and alpha and (image.alpha == 255).all():  # WebP keeps no alpha that hides nothing
        image = replace(image, alpha=None)
    assert_same_image(given_file, image)
    result = same(network)(given_file, tile=tile)
    assert_same_image(read(encode(result, suffix)), image, atol=NEAR.get(depth, 0))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".npy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_through_a_network_of_colour_stays_grey(suffix, channels):
    pixels = noise(5, 7, 1)
    again = read(encode(same(channels)(DecodedImage(pixels)), suffix)).pixels
    # There is no grey WebP.
    assert_array_equal(again, np.repeat(pixels, 3, axis=-1) if suffix == ".webp" else pixels, strict=True)


@given(data=st.data(), depth=st.sampled_from([1, 2, 4, 8]))
@settings(max_examples=25, deadline=None)
def test_a_palette_comes_back_as_its_colours(data, depth):
    colours = data.draw(arrays(np.uint8, (data.draw(st.integers(1, 2**depth)), 3)))
    indices = data.draw(arrays(np.uint8, (3, 8 // depth), elements=st.integers(0, len(colours) - 1)))
    rows = [bytes([int("".join(f"{index:0{depth}b}" for index in row), 2)]) for row in indices]
    image = read(png((8 // depth, 3), depth, 3, rows, (b"PLTE", colours.tobytes())))
    for suffix in (".png", ".tif", ".webp", ".bmp", ".npy"):
        assert_array_equal(read(encode(same()(image), suffix)).pixels, colours[indices], strict=True)


@given(bits=st.lists(st.integers(0, 255), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_one_bit_comes_back_as_black_and_white(bits):
    wanted = np.unpackbits(np.array(bits, np.uint8)[:, None], axis=1)[..., None] * np.uint8(255)
    image = read(png((8, len(bits)), 1, 0, [bytes([row]) for row in bits]))
    for suffix in (".png", ".tif", ".bmp", ".npy"):
        assert_array_equal(read(encode(same()(image), suffix)).pixels, wanted, strict=True)


@pytest.mark.parametrize("depth", DEPTHS)
def test_less_than_half_a_step_changes_no_pixel_and_more_changes_each_by_one(depth):
    pixels = noise(9, 9, 3, dtype=depth) // 2 + 5  # away from white, where it is clipped
    step = 2 / np.iinfo(depth).max
    for share, change in ((0.45, 0), (-0.45, 0), (0.55, 1), (-0.55, -1), (1, 1)):
        result = translator(Same(plus=share * step))(DecodedImage(pixels))
        assert_array_equal(result.pixels.astype(int) - pixels, np.full(pixels.shape, change))


def test_jpeg_comes_back_near():
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 90, np.uint8)], -1)
    image = read(encode(DecodedImage(pixels), ".jpg"))
    again = read(encode(same()(image), ".jpg"))
    assert again.pixels.shape == (32, 32, 3)
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 6


TAKEN_BY = {1: [1, 2, 3, 4], 2: [2, 4], 3: [1, 2, 3, 4], 4: [2, 4], 5: [5], 13: [13]}


@pytest.mark.parametrize(
    ("given_channels", "wanted", "depth"),
    pairwise(list(TAKEN_BY), [1, 2, 3, 4, 5, 13], [np.uint8, np.uint16, np.float32]),
)
def test_images_become_the_channels_of_a_network_or_are_refused(given_channels, wanted, depth):
    image = DecodedImage(noise(4, 5, given_channels, dtype=depth))
    if wanted not in TAKEN_BY[given_channels]:
        with pytest.raises(ImageError, match=rf"an image of \d+ channels where {wanted} are needed"):
            adapt(image, channels=wanted).read(torch.arange(4), torch.arange(5))
        return
    pixels = adapt(image, channels=wanted).read(torch.arange(4), torch.arange(5))
    assert pixels.shape == (1, wanted, 4, 5)
    if wanted in (2, 4) and given_channels in (1, 3):
        assert (pixels[:, -1] == 1).all(), "opaque where there is no alpha"
        pixels, wanted = pixels[:, :-1], wanted - 1
    if wanted == given_channels:
        assert np.abs(to_pixels(pixels[0], np.float32) - as_depth(image.pixels, np.dtype(np.float32))).max() <= 1e-6


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("given_channels", "wanted"), [(1, 2), (3, 4)])
def test_a_network_of_two_or_four_channels_takes_alpha_as_the_last(given_channels, wanted, depth):
    image = DecodedImage(noise(4, 5, given_channels, dtype=depth), noise(4, 5, dtype=depth, seed=1))
    seen = match_channels(image, wanted)
    assert_array_equal(seen, all_channels(image), strict=True)
    assert_array_equal(match_channels(image, given_channels), image.pixels, strict=True)
    opaque = match_channels(DecodedImage(image.pixels), wanted)
    assert_array_equal(opaque[..., -1], np.full((4, 5), 1 if depth == np.float32 else np.iinfo(depth).max))
    # What it gives as the last is alpha again.
    pixels, leave = enter(image, wanted)
    assert_same_image(leave(pixels), image, atol=NEAR.get(depth, 0))
    pixels[:, -1] = -1
    assert (leave(pixels).alpha == 0).all()


def test_alpha_that_went_through_a_network_is_not_carried_past_it():
    pixels, leave = enter(DecodedImage(noise(4, 5, 3), noise(4, 5, seed=1)), 4)
    assert leave(pixels[:, :3]).alpha is None


def test_an_image_without_alpha_gets_that_of_its_result():
    pixels, leave = enter(DecodedImage(noise(4, 5, 3)), 4)
    result = leave(pixels)
    assert (result.alpha == 255).all()
    assert result.pixels.shape == (4, 5, 3)


@pytest.mark.parametrize("network", [1, 3, 4])
def test_8_bit_is_widened_to_16_where_asked(network):
    image = DecodedImage(noise(4, 5, 3), noise(4, 5, seed=1))
    adapter = adapt(image, channels=network, widen_to_16_bit=True)
    adapter.write(adapter.read(torch.arange(4), torch.arange(5)), top=0, left=0)
    result = adapter.result()
    assert result.pixels.dtype == result.alpha.dtype == np.uint16
    assert_array_equal(result.alpha, image.alpha * np.uint16(257))
    if network > 1:
        assert_array_equal(result.pixels, image.pixels * np.uint16(257))


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_16_bit_and_floats_are_not_widened(depth):
    image = DecodedImage(noise(4, 5, 3, dtype=depth))
    adapter = adapt(image, channels=3, widen_to_16_bit=True)
    adapter.write(adapter.read(torch.arange(4), torch.arange(5)), top=0, left=0)
    assert_same_image(adapter.result(), image, atol=NEAR.get(depth, 0))


def test_a_model_trained_from_8_to_16_bit_widens_files_and_not_arrays(tmp_path):
    Image.fromarray(noise(4, 5)).save(tmp_path / "x.png")
    widening = translator(Same(1), depths=[8, 16])
    assert widening(tmp_path / "x.png").mode == "I;16"
    assert widening(noise(4, 5)).dtype == np.uint8
    assert translator(Same(1), depths=[16, 16])(tmp_path / "x.png").mode == "L"


def test_more_channels_than_pil_holds_are_refused_with_what_to_give():
    data = made(DecodedImage(noise(4, 5, 5)), ".tif")
    with pytest.raises(ImageError, match=r"PIL has no image with 5 channels; give an array, or write a \.tif or \.npy"):
        same(5)(data)
    assert_array_equal(same(5)(noise(4, 5, 5)), noise(4, 5, 5), strict=True)


@pytest.mark.parametrize(
    ("suffix", "depth", "channels"),
    pairwise([".png", ".jpg", ".webp", ".tif", ".bmp", ".npy"], [np.uint8, np.uint16, np.float32], [1, 3]),
)
def test_metadata_is_kept_where_a_format_holds_it(suffix, depth, channels):
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags.get_ifd(0x8825)[1] = "N"
    about = {"icc": b"profile" * 20, "exif": tags.tobytes(), "dpi": (300.0, 150.0)}
    result = same()(DecodedImage(noise(8, 9, channels, dtype=depth), **about))
    again = read(encode(result, suffix))
    assert again.icc == (about["icc"] if suffix not in (".bmp", ".npy") else None)
    assert again.exif == (about["exif"] if suffix in (".png", ".jpg", ".webp") else None)
    if suffix in (".webp", ".npy"):
        assert again.dpi is None
    else:
        assert again.dpi == pytest.approx((300, 150), abs=0.05)
