import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from i2i.encode import encode, write
from i2i.errors import ImageError, UsageError
from i2i.picture import SUFFIXES, Picture, images_in, read

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
QUARTER_TURN = 6  # EXIF: the camera was turned, show it turned 90 degrees clockwise.


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def png(size, depth, colour_type, rows, *extra):
    """A PNG written chunk by chunk, for what neither Pillow nor OpenCV writes."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read_again(tmp_path, dtype, channels, alpha, suffix):
    levels = noise(5, 7, channels, dtype=dtype)
    picture = Picture(levels, noise(5, 7, dtype=dtype, seed=1) if alpha else None)
    path = tmp_path / f"picture{suffix}"
    write(picture, path)
    again = read(path)
    if dtype == np.uint16 and channels == 1 and alpha:
        # Neither library writes 16-bit grey with alpha: it may become colour whose channels are the grey.
        assert again.levels.dtype == dtype
        assert_array_equal(again.levels, np.broadcast_to(levels, again.levels.shape))
    else:
        assert_array_equal(again.levels, levels, strict=True)
    if alpha:
        assert_array_equal(again.alpha, picture.alpha, strict=True)
    else:
        assert again.alpha is None


@pytest.mark.parametrize("suffix", [".webp", ".bmp"])
def test_the_other_lossless_formats_keep_every_pixel(tmp_path, suffix):
    levels = noise(5, 7, 3)
    write(Picture(levels), tmp_path / f"picture{suffix}")
    assert_array_equal(read(tmp_path / f"picture{suffix}").levels, levels, strict=True)


def test_webp_keeps_alpha(tmp_path):
    picture = Picture(noise(5, 7, 3), np.maximum(noise(5, 7, seed=1), 1))
    write(picture, tmp_path / "picture.webp")
    again = read(tmp_path / "picture.webp")
    assert_array_equal(again.levels, picture.levels)
    assert_array_equal(again.alpha, picture.alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_sixteen_bits_are_rounded_where_a_format_has_eight(suffix):
    # 128 and 129 of 257 lie on either side of half a level; 65535 is 255 levels.
    levels = np.full((16, 16, 1), 257 * 100, np.uint16)
    picture = read(encode(Picture(levels), suffix))
    assert (picture.levels.dtype, int(picture.levels.min()), int(picture.levels.max())) == (np.uint8, 100, 100)
    if suffix != ".jpg":
        near = np.array([[[0], [128], [129], [65535 - 129], [65535]]], np.uint16)
        assert read(encode(Picture(near), suffix)).levels[0, :, 0].tolist() == [0, 0, 1, 254, 255]


def test_sixteen_bits_with_alpha_are_rounded_for_webp():
    levels, alpha = np.full((4, 4, 3), 257 * 100, np.uint16), np.full((4, 4), 257 * 50, np.uint16)
    picture = read(encode(Picture(levels, alpha), ".webp"))
    assert_array_equal(picture.levels, np.full((4, 4, 3), 100, np.uint8))
    assert_array_equal(picture.alpha, np.full((4, 4), 50, np.uint8))


def test_jpeg_decodes_near_and_drops_alpha(tmp_path):
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    levels = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 90, np.uint8)], -1)
    write(Picture(levels, np.zeros((32, 32), np.uint8)), tmp_path / "picture.JPG")
    again = read(tmp_path / "picture.JPG")
    assert again.levels.shape == levels.shape
    assert again.alpha is None
    assert np.abs(again.levels.astype(int) - levels).max() <= 6


def test_jpeg_keeps_full_colour_resolution():
    # Stripes of one pixel in colours of the same brightness: half the resolution would mix them to grey.
    levels = np.zeros((16, 16, 3), np.uint8)
    levels[:, ::2], levels[:, 1::2] = (200, 50, 50), (50, 126, 50)
    again = read(encode(Picture(levels), ".jpg")).levels.astype(int)
    assert np.abs(again - levels).mean() < 6


def test_grey_jpeg_stays_grey():
    assert read(encode(Picture(np.full((8, 8, 1), 77, np.uint8)), ".jpeg")).levels.shape == (8, 8, 1)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (2, 2))
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    image.putdata([0, 1, 2, 1])
    image.save(tmp_path / "palette.png")
    picture = read(tmp_path / "palette.png")
    assert picture.levels.tolist() == [[[255, 0, 0], [0, 255, 0]], [[10, 20, 30], [0, 255, 0]]]
    assert picture.alpha is None


@pytest.mark.parametrize(("transparency", "alpha"), [(1, [255, 0, 255, 0]), (b"\x05\x80\xff", [5, 128, 255, 128])])
def test_a_palette_with_transparency_has_alpha(tmp_path, transparency, alpha):
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    image.putdata([0, 1, 2, 1])
    image.save(tmp_path / "palette.png", transparency=transparency)
    picture = read(tmp_path / "palette.png")
    assert picture.levels.tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30], [0, 255, 0]]]
    assert picture.alpha.tolist() == [alpha]


def test_a_transparent_colour_has_alpha(tmp_path):
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "key.png", transparency=(4, 5, 6))
    picture = read(tmp_path / "key.png")
    assert picture.levels.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert picture.alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_is_black_and_white(tmp_path, suffix):
    Image.fromarray(np.array([[True, False, True]])).save(tmp_path / f"bits.{suffix}")
    picture = read(tmp_path / f"bits.{suffix}")
    assert picture.levels.tolist() == [[[255], [0], [255]]]
    assert picture.levels.dtype == np.uint8


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (3, 4, 4)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_written_by_another_program_are_read_whole(tmp_path, shape, suffix):
    levels = noise(*shape, dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / f"deep.{suffix}"), levels)
    picture = read(tmp_path / f"deep.{suffix}")
    colour = levels[..., None] if levels.ndim == 2 else levels[..., 2::-1]
    assert_array_equal(picture.levels, colour, strict=True)
    if shape[-1] == 4 and len(shape) == 3:
        assert_array_equal(picture.alpha, levels[..., 3], strict=True)
    else:
        assert picture.alpha is None


def test_sixteen_bit_grey_with_alpha_is_read_whole():
    row = np.array([300, 65535, 40000, 1234], ">u2").tobytes()
    picture = read(png((2, 1), 16, 4, [row]))
    assert picture.levels.dtype == np.uint16
    assert picture.levels[..., 0].tolist() == [[300, 40000]]
    assert picture.alpha.tolist() == [[65535, 1234]]


def test_levels_of_32_bits_are_clipped_to_16(tmp_path):
    Image.fromarray(np.array([[0, 70000, 65535]], np.int32)).save(tmp_path / "wide.tif")
    assert read(tmp_path / "wide.tif").levels.tolist() == [[[0], [65535], [65535]]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (QUARTER_TURN, lambda x: np.rot90(x, -1)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, upright, suffix):
    stored = np.repeat(np.repeat(np.array([[0, 100, 200], [50, 150, 250]], np.uint8), 16, 0), 16, 1)
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(stored).convert("RGB").save(tmp_path / f"x.{suffix}", exif=exif(orientation), **lossless)
    levels = read(tmp_path / f"x.{suffix}").levels
    expected = upright(stored)
    assert levels.shape == (*expected.shape, 3)
    assert np.abs(levels[8::16, 8::16, 0].astype(int) - expected[8::16, 8::16]).max() <= 3


def test_exif_orientation_is_applied_to_sixteen_bit_colour():
    stored = noise(2, 3, 3, dtype=np.uint16)
    turn = (b"eXIf", exif(QUARTER_TURN).tobytes().removeprefix(b"Exif\0\0"))
    picture = read(png((3, 2), 16, 2, [row.astype(">u2").tobytes() for row in stored], turn))
    assert_array_equal(picture.levels, np.rot90(stored, -1))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_colour_profile_is_kept(suffix, channels):
    data = encode(Picture(np.full((8, 8, channels), 9, np.uint8), icc=ICC), suffix)
    assert read(data).icc == ICC
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == ICC


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_colour_profile_of_sixteen_bits_is_kept(suffix, channels):
    assert read(encode(Picture(np.full((8, 8, channels), 9, np.uint16), icc=ICC), suffix)).icc == ICC


def test_no_profile_is_made_up():
    assert read(encode(Picture(np.zeros((8, 8, 3), np.uint8)), ".png")).icc is None


def test_cmyk_becomes_rgb_without_its_profile(tmp_path):
    # Pure cyan, pure black ink, no ink.
    image = Image.new("CMYK", (48, 16))
    for place, ink in enumerate([(255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0)]):
        image.paste(ink, (16 * place, 0, 16 * place + 16, 16))
    image.save(tmp_path / "ink.tif", icc_profile=ICC)
    picture = read(tmp_path / "ink.tif")
    assert picture.levels[8, 8::16].tolist() == [[0, 255, 255], [0, 0, 0], [255, 255, 255]]
    assert (picture.alpha, picture.icc) == (None, None)
    image.save(tmp_path / "ink.jpg", quality=100)
    near = read(tmp_path / "ink.jpg").levels[8, 8::16].astype(int)
    assert np.abs(near - [[0, 255, 255], [0, 0, 0], [255, 255, 255]]).max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    data = encode(Picture(noise(32, 32, 3)), suffix)
    path = tmp_path / f"torn{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError) as error:
        read(path)
    name, _, reason = str(error.value).partition(f"{path}: ")
    assert name == ""
    assert reason


def test_a_truncated_file_of_sixteen_bit_colour_is_named(tmp_path):
    data = encode(Picture(noise(64, 64, 3, dtype=np.uint16)), ".png")
    path = tmp_path / "torn.png"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"torn\.png: .*truncated"):
        read(path)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "an empty file"),
        (b"not a picture at all", "not an image that can be read"),
        (b"\x89PNG\r\n\x1a\n", "not an image that can be read"),
    ],
)
def test_what_is_no_picture_is_named_with_the_reason(tmp_path, contents, reason):
    path = tmp_path / "fake.png"
    path.write_bytes(contents)
    with pytest.raises(ImageError) as error:
        read(path)
    assert str(error.value) == f"{path}: {reason}"
    with pytest.raises(ImageError, match=f"^these bytes: {reason}$"):
        read(contents)


def test_a_missing_file_and_a_folder_are_named_with_the_reason(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: No such file or directory$"):
        read(str(tmp_path / "none.png"))
    with pytest.raises(ImageError, match=r": Is a directory$"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, r"1 of its 4 values are no numbers \(NaN or infinite\); fill them first"),
        (np.inf, "1 of its 4 values are no numbers"),
        (1.5, r"floats from 0 to 1.5; in a file they lie in \[0, 1\]"),
        (-0.25, "floats from -0.25 to 0"),
    ],
)
def test_floats_that_are_no_levels_are_refused_by_name(tmp_path, value, reason):
    values = np.zeros((2, 2), np.float32)
    values[0, 0] = value
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.save(tmp_path / "float.npy", values)
    for name in ("float.tif", "float.npy"):
        with pytest.raises(ImageError, match=rf"{name}: {reason}"):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["picture.gif", "picture.txt", "picture"])
def test_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(UsageError, match=r"use one of \.bmp \.jpeg \.jpg \.npy \.png"):
        write(Picture(np.zeros((2, 2, 3), np.uint8)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".npy"}))
def test_every_suffix_names_its_format(suffix):
    data = encode(Picture(np.zeros((4, 4, 3), np.uint8)), suffix.upper())
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    assert Image.open(io.BytesIO(data)).format == formats.get(suffix, suffix[1:].upper())


def test_images_in_a_folder_are_found_in_order(tmp_path):
    kept = ["2.png", "B.JPG", "a.webp", "sub/deep/1.tif", "sub/z.bmp"]
    hidden = [".h.png", ".cache/x.png", "sub/.git/y.png", "sub/._z.png"]
    for name in [*kept, *hidden, "notes.txt", "sub/no_suffix"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in images_in(tmp_path)] == kept


def test_images_in_a_hidden_folder_are_found_when_it_is_asked_for(tmp_path):
    folder = tmp_path / ".photos"
    folder.mkdir()
    (folder / "1.png").touch()
    assert images_in(folder) == [folder / "1.png"]


def test_bytes_start_no_other_program():
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
    with pytest.raises(ImageError, match="not an image that can be read"):
        read(postscript)


def test_damaged_exif_does_not_reject_a_good_picture(tmp_path):
    path = tmp_path / "x.jpg"
    Image.new("RGB", (8, 4), (10, 20, 30)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01")
    assert read(path).levels.shape == (4, 8, 3)
