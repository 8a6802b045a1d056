"""Writing of image files."""

import io

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from i2i.errors import ImageError, UsageError
from i2i.images.decoded import DecodedImage
from i2i.images.formats import writable_suffixes
from i2i.images.reading import read
from i2i.images.writing import encode, write
from support.images import noise

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read_again(tmp_path, dtype, channels, alpha, suffix):
    pixels = noise(5, 7, channels, dtype=dtype)
    image = DecodedImage(pixels, noise(5, 7, dtype=dtype, seed=1) if alpha else None)
    path = tmp_path / f"image{suffix}"
    write(image, path)
    again = read(path)
    assert_array_equal(again.pixels, pixels, strict=True)
    if alpha:
        assert_array_equal(again.alpha, image.alpha, strict=True)
    else:
        assert again.alpha is None


@pytest.mark.parametrize("suffix", [".webp", ".bmp"])
def test_the_other_lossless_formats_keep_every_pixel(tmp_path, suffix):
    pixels = noise(5, 7, 3)
    write(DecodedImage(pixels), tmp_path / f"image{suffix}")
    assert_array_equal(read(tmp_path / f"image{suffix}").pixels, pixels, strict=True)


def test_webp_keeps_alpha(tmp_path):
    image = DecodedImage(noise(5, 7, 3), np.maximum(noise(5, 7, seed=1), 1))
    write(image, tmp_path / "image.webp")
    again = read(tmp_path / "image.webp")
    assert_array_equal(again.pixels, image.pixels)
    assert_array_equal(again.alpha, image.alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_16_bit_is_rounded_where_a_format_holds_8(suffix):
    # 128 and 129 of 257 lie on either side of half a level; 65535 is 255 levels.
    pixels = np.full((16, 16, 1), 257 * 100, np.uint16)
    image = read(encode(DecodedImage(pixels), suffix))
    assert (image.pixels.dtype, int(image.pixels.min()), int(image.pixels.max())) == (np.uint8, 100, 100)
    if suffix != ".jpg":
        near = np.array([[[0], [128], [129], [65535 - 129], [65535]]], np.uint16)
        assert read(encode(DecodedImage(near), suffix)).pixels[0, :, 0].tolist() == [0, 0, 1, 254, 255]


def test_sixteen_bits_with_alpha_are_rounded_for_webp():
    pixels, alpha = np.full((4, 4, 3), 257 * 100, np.uint16), np.full((4, 4), 257 * 50, np.uint16)
    image = read(encode(DecodedImage(pixels, alpha), ".webp"))
    assert_array_equal(image.pixels, np.full((4, 4, 3), 100, np.uint8))
    assert_array_equal(image.alpha, np.full((4, 4), 50, np.uint8))


def test_jpeg_decodes_near_and_drops_alpha(tmp_path):
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 90, np.uint8)], -1)
    write(DecodedImage(pixels, np.zeros((32, 32), np.uint8)), tmp_path / "image.JPG")
    again = read(tmp_path / "image.JPG")
    assert again.pixels.shape == pixels.shape
    assert again.alpha is None
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 6


def test_jpeg_keeps_full_colour_resolution():
    # Stripes of one pixel in colours of the same brightness: half the resolution would mix them to grey.
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, ::2], pixels[:, 1::2] = (200, 50, 50), (50, 126, 50)
    again = read(encode(DecodedImage(pixels), ".jpg")).pixels.astype(int)
    assert np.abs(again - pixels).mean() < 6


def test_grey_jpeg_stays_grey():
    assert read(encode(DecodedImage(np.full((8, 8, 1), 77, np.uint8)), ".jpeg")).pixels.shape == (8, 8, 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_colour_profile_is_kept(suffix, channels):
    data = encode(DecodedImage(np.full((8, 8, channels), 9, np.uint8), icc=ICC), suffix)
    assert read(data).icc == ICC
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == ICC


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_colour_profile_of_sixteen_bits_is_kept(suffix, channels):
    assert read(encode(DecodedImage(np.full((8, 8, channels), 9, np.uint16), icc=ICC), suffix)).icc == ICC


def test_no_profile_is_added():
    assert read(encode(DecodedImage(np.zeros((8, 8, 3), np.uint8)), ".png")).icc is None


@pytest.mark.parametrize("name", ["image.gif", "image.txt", "image"])
def test_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(UsageError, match=r"use one of \.bmp \.jpeg \.jpg \.npy \.png"):
        write(DecodedImage(np.zeros((2, 2, 3), np.uint8)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", sorted(writable_suffixes().keys() - {".npy"}))
def test_every_suffix_names_its_format(suffix):
    data = encode(DecodedImage(np.zeros((4, 4, 3), np.uint8)), suffix.upper())
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    assert Image.open(io.BytesIO(data)).format == formats.get(suffix, suffix[1:].upper())


@pytest.mark.parametrize("suffix", sorted(writable_suffixes().keys() - {".npy", ".tif", ".tiff"}))
@pytest.mark.parametrize("channels", [5, 13])
def test_more_channels_than_a_format_has_are_refused_with_what_to_use(suffix, channels):
    with pytest.raises(ImageError, match=rf"{channels} channels .* {suffix}; use \.tif or \.npy"):
        encode(DecodedImage(noise(4, 5, channels)), suffix)


@pytest.mark.parametrize(("suffix", "most"), [(".webp", 16383), (".jpg", 65500)])
def test_more_pixels_than_a_format_has_are_refused_with_what_to_use(suffix, most):
    encode(DecodedImage(np.zeros((1, most, 1), np.uint8)), suffix)
    with pytest.raises(ImageError, match=rf"{most + 1} x 1 pixels can't be written as {suffix}: .*use \.png"):
        encode(DecodedImage(np.zeros((1, most + 1, 1), np.uint8)), suffix)


def test_floats_are_rounded_to_the_deepest_that_a_format_has():
    pixels = np.array([[[0.0], [0.5], [1.0]]], np.float32)
    assert read(encode(DecodedImage(pixels), ".png")).pixels.tolist() == [[[0], [32768], [65535]]]
    assert read(encode(DecodedImage(pixels), ".bmp")).pixels.tolist() == [[[0], [128], [255]]]
    assert read(encode(DecodedImage(pixels), ".tif")).pixels.tolist() == pixels.tolist()
    assert np.load(io.BytesIO(encode(DecodedImage(pixels), ".npy"))).dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_the_last_channel_of_an_array(channels):
    image = DecodedImage(noise(4, 5, channels), noise(4, 5, seed=1))
    array = np.load(io.BytesIO(encode(image, ".npy")))
    assert_array_equal(array, np.dstack([image.pixels, image.alpha]), strict=True)


def test_a_higher_quality_is_a_larger_and_nearer_file():
    image = DecodedImage(noise(64, 64, 3) // 4 + 90)
    files = [encode(image, ".jpg", quality=quality) for quality in (1, 30, 75, 95, 100)]
    apart = [np.abs(read(data).pixels.astype(int) - image.pixels).mean() for data in files]
    assert [len(data) for data in files] == sorted(len(data) for data in files)
    assert apart == sorted(apart, reverse=True)
    assert len(files[0]) < len(files[-1]) / 5
    for suffix in (".png", ".tif", ".webp", ".bmp", ".npy"):
        assert encode(image, suffix, quality=1) == encode(image, suffix, quality=100)


def test_exif_too_large_for_jpeg_is_left_out():
    tags = Image.Exif()
    tags[0x010F] = "x" * 70_000
    image = DecodedImage(noise(8, 8, 3), exif=tags.tobytes())
    assert read(encode(image, ".jpg")).exif is None
    assert read(encode(image, ".png")).exif == image.exif


def test_an_existing_file_is_untouched_where_an_image_cannot_be_written(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"before")
    with pytest.raises(ImageError):
        write(DecodedImage(noise(4, 5, 5)), path)
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_seen_alike_by_pillow(suffix, channels):
    pixels = noise(5, 7, channels)
    seen = np.asarray(Image.open(io.BytesIO(encode(DecodedImage(pixels), suffix))).convert("RGB"))
    assert_array_equal(seen, np.broadcast_to(pixels, (5, 7, 3)))


def test_sixteen_bit_grey_with_alpha_is_written_as_that():
    # A photo-like ramp is worth packing by differences.
    pixels = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16)[..., None] * 500
    data = encode(DecodedImage(pixels, pixels[..., 0], icc=ICC, dpi=(300, 150)), ".png")
    assert (data[24], data[25]) == (16, 4), "depth and kind (PNG specification, 11.2.1)"
    assert len(data) < pixels.nbytes / 4 + len(ICC)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert (image.size, image.info["icc_profile"]) == ((64, 64), ICC)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_are_seen_alike_by_opencv(channels, alpha):
    pixels, opacity = noise(5, 7, channels, dtype=np.uint16), noise(5, 7, dtype=np.uint16, seed=1)
    data = encode(DecodedImage(pixels, opacity if alpha else None), ".png")
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).reshape(5, 7, -1)
    colours = seen[..., :3][..., ::-1]
    assert seen.dtype == np.uint16
    assert_array_equal(colours, np.broadcast_to(pixels, colours.shape))
    if alpha:
        assert_array_equal(seen[..., 3], opacity)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
@pytest.mark.parametrize("channels", [2, 4])
def test_a_channel_that_is_not_alpha_is_not_dropped(channels, suffix):
    with pytest.raises(ImageError, match=rf"^{channels} channels can't be written as {suffix}; use \.tif"):
        encode(DecodedImage(noise(4, 5, channels)), suffix)
