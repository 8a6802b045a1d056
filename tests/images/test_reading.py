"""Reading of image files."""

import contextlib
import io
import pickle
import struct
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage
from i2i.images.reading import images_in, read
from i2i.images.writing import encode
from support.images import claims, made, make_special, no_waiting, noise, png

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
STARTS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"BM", b"GIF89a"]
STARTS += [b"RIFF\0\1\0\0WEBPVP8L", b"\x93NUMPY\1\0", b"\x93NUMPY\1\0\x10\0"]
QUARTER_TURN = 6  # EXIF: the camera was turned, show it turned 90 degrees clockwise.


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (2, 2))
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    image.putdata([0, 1, 2, 1])
    image.save(tmp_path / "palette.png")
    decoded = read(tmp_path / "palette.png")
    assert decoded.pixels.tolist() == [[[255, 0, 0], [0, 255, 0]], [[10, 20, 30], [0, 255, 0]]]
    assert decoded.alpha is None


@pytest.mark.parametrize(("transparency", "alpha"), [(1, [255, 0, 255, 0]), (b"\x05\x80\xff", [5, 128, 255, 128])])
def test_a_palette_with_transparency_has_alpha(tmp_path, transparency, alpha):
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    image.putdata([0, 1, 2, 1])
    image.save(tmp_path / "palette.png", transparency=transparency)
    decoded = read(tmp_path / "palette.png")
    assert decoded.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30], [0, 255, 0]]]
    assert decoded.alpha.tolist() == [alpha]


def test_a_transparent_colour_has_alpha(tmp_path):
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "key.png", transparency=(4, 5, 6))
    image = read(tmp_path / "key.png")
    assert image.pixels.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert image.alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_is_black_and_white(tmp_path, suffix):
    Image.fromarray(np.array([[True, False, True]])).save(tmp_path / f"bits.{suffix}")
    image = read(tmp_path / f"bits.{suffix}")
    assert image.pixels.tolist() == [[[255], [0], [255]]]
    assert image.pixels.dtype == np.uint8


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (3, 4, 4)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_written_by_another_program_are_read_whole(tmp_path, shape, suffix):
    pixels = noise(*shape, dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / f"deep.{suffix}"), pixels)
    image = read(tmp_path / f"deep.{suffix}")
    colour = pixels[..., None] if pixels.ndim == 2 else pixels[..., 2::-1]
    assert_array_equal(image.pixels, colour, strict=True)
    if shape[-1] == 4 and len(shape) == 3:
        assert_array_equal(image.alpha, pixels[..., 3], strict=True)
    else:
        assert image.alpha is None


def test_sixteen_bit_grey_with_alpha_is_read_whole():
    row = np.array([300, 65535, 40000, 1234], ">u2").tobytes()
    image = read(png((2, 1), 16, 4, [row]))
    assert image.pixels.dtype == np.uint16
    assert image.pixels[..., 0].tolist() == [[300, 40000]]
    assert image.alpha.tolist() == [[65535, 1234]]


def test_values_below_zero_are_refused(tmp_path):
    Image.fromarray(np.array([[0, -3, 5]], np.int32)).save(tmp_path / "below.tif")
    with pytest.raises(ImageError, match=r"below\.tif: values down to -3; give uint8"):
        read(tmp_path / "below.tif")


def test_32_bit_values_above_65535_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 70000, 65535]], np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(ImageError, match=r"wide\.tif: 32-bit integers up to 70000, of which 65535 is the highest"):
        read(tmp_path / "wide.tif")
    Image.fromarray(np.array([[0, 255, 65535]], np.int32)).save(tmp_path / "wide.tif")
    assert read(tmp_path / "wide.tif").pixels.tolist() == [[[0], [255], [65535]]]


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
    pixels = read(tmp_path / f"x.{suffix}").pixels
    expected = upright(stored)
    assert pixels.shape == (*expected.shape, 3)
    assert np.abs(pixels[8::16, 8::16, 0].astype(int) - expected[8::16, 8::16]).max() <= 3


def test_exif_orientation_is_applied_to_sixteen_bit_colour():
    stored = noise(2, 3, 3, dtype=np.uint16)
    turn = (b"eXIf", exif(QUARTER_TURN).tobytes().removeprefix(b"Exif\0\0"))
    image = read(png((3, 2), 16, 2, [row.astype(">u2").tobytes() for row in stored], turn))
    assert_array_equal(image.pixels, np.rot90(stored, -1))


def test_cmyk_becomes_rgb_without_its_profile(tmp_path):
    # Pure cyan, pure black ink, no ink.
    image = Image.new("CMYK", (48, 16))
    for index, ink in enumerate([(255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0)]):
        image.paste(ink, (16 * index, 0, 16 * index + 16, 16))
    image.save(tmp_path / "ink.tif", icc_profile=ICC)
    decoded = read(tmp_path / "ink.tif")
    assert decoded.pixels[8, 8::16].tolist() == [[0, 255, 255], [0, 0, 0], [255, 255, 255]]
    assert (decoded.alpha, decoded.icc) == (None, None)
    image.save(tmp_path / "ink.jpg", quality=100)
    near = read(tmp_path / "ink.jpg").pixels[8, 8::16].astype(int)
    assert np.abs(near - [[0, 255, 255], [0, 0, 0], [255, 255, 255]]).max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    data = encode(DecodedImage(noise(32, 32, 3)), suffix)
    path = tmp_path / f"torn{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError) as error:
        read(path)
    name, _, reason = str(error.value).partition(f"{path}: ")
    assert name == ""
    assert reason


def test_a_truncated_file_of_sixteen_bit_colour_is_named(tmp_path):
    data = encode(DecodedImage(noise(64, 64, 3, dtype=np.uint16)), ".png")
    path = tmp_path / "torn.png"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"torn\.png: .*truncated"):
        read(path)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "an empty file"),
        (b"\x01\x02\x03\x04", "not an image that can be read"),
        (b"not an image at all", "not an image that can be read: text"),
        (b"\x89PNG\r\n\x1a\n", "truncated: the file ends before its image does"),
    ],
)
def test_files_that_are_not_images_are_named_with_the_reason(tmp_path, contents, reason):
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
        (np.nan, r"1 of its 4 values are NaN or infinite; fill them first"),
        (np.inf, "1 of its 4 values are NaN or infinite"),
        (1.5, r"floats from 0 to 1.5; in a file they lie in \[0, 1\]"),
        (-0.25, "floats from -0.25 to 0"),
    ],
)
def test_floats_outside_of_their_range_are_refused_by_name(tmp_path, value, reason):
    values = np.zeros((2, 2), np.float32)
    values[0, 0] = value
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.save(tmp_path / "float.npy", values)
    for name in ("float.tif", "float.npy"):
        with pytest.raises(ImageError, match=rf"{name}: {reason}"):
            read(tmp_path / name)


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


def test_damaged_exif_does_not_reject_a_good_image(tmp_path):
    path = tmp_path / "x.jpg"
    Image.new("RGB", (8, 4), (10, 20, 30)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01")
    assert read(path).pixels.shape == (4, 8, 3)


WRITTEN = [
    (suffix, channels, alpha, depth)
    for suffix, kinds in {
        ".png": [(1, False), (3, False), (1, True), (3, True)],
        ".tif": [(1, False), (3, False), (1, True), (3, True), (2, False), (4, False), (5, False), (13, False)],
        ".npy": [(1, False), (2, False), (3, False), (4, False), (13, False)],
    }.items()
    for channels, alpha in kinds
    for depth in (np.uint8, np.uint16, np.float32)
    if (suffix, depth) != (".png", np.float32)
]
WRITTEN += [(".webp", 3, False, np.uint8), (".webp", 3, True, np.uint8), (".bmp", 1, False, np.uint8)]
WRITTEN += [(".bmp", 3, False, np.uint8)]


@pytest.mark.parametrize(("suffix", "channels", "alpha", "depth"), WRITTEN)
def test_what_other_programs_wrote_is_read_as_it_is(suffix, channels, alpha, depth):
    image = DecodedImage(noise(5, 7, channels, dtype=depth), noise(5, 7, dtype=depth, seed=1) if alpha else None)
    again = read(made(image, suffix))
    assert_array_equal(again.pixels, image.pixels, strict=True)
    assert (again.alpha is None) == (not alpha)
    if alpha:
        assert_array_equal(again.alpha, image.alpha, strict=True)
    assert again.frames == 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("count", [2, 3, 13])
def test_palettes_of_every_depth_are_looked_up(depth, count):
    colours = noise(min(count, 2**depth), 3)
    indices = np.arange(17) % len(colours)
    bits = "".join(f"{index:0{depth}b}" for index in indices)
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    image = read(png((17, 1), depth, 3, [row], (b"PLTE", colours.tobytes())))
    assert_array_equal(image.pixels[0], colours[indices], strict=True)
    assert image.alpha is None


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("depth", ["u2", "f4", "f8", "f2"])
def test_arrays_of_either_byte_order_are_read(order, depth):
    pixels = noise(3, 4, 5, dtype=np.uint16) if depth == "u2" else noise(3, 4, 5, dtype=depth)
    buffer = io.BytesIO()
    np.save(buffer, pixels.astype(order + depth))
    wanted = pixels if depth == "u2" else pixels.astype(np.float32)
    assert_array_equal(read(buffer.getvalue()).pixels, wanted, strict=True)


def test_arrays_in_the_order_of_fortran_and_of_two_axes_are_read():
    pixels = noise(3, 4, 2)
    for array in (np.asfortranarray(pixels), pixels[..., 0]):
        buffer = io.BytesIO()
        np.save(buffer, array)
        assert_array_equal(read(buffer.getvalue()).pixels, array.reshape(3, 4, -1), strict=True)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(4, np.uint8), r"an array of shape \(4,\); an image is \(H, W\) or \(H, W, C\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"an array of shape \(1, 2, 2, 3\)"),
        (np.zeros((0, 2, 3), np.uint8), r"an array of shape \(0, 2, 3\)"),
        (np.zeros((2, 2), np.int64), "values of int64; give uint8 or uint16 pixels"),
        (np.zeros((2, 2), bool), "values of bool"),
        (np.zeros((2, 2), complex), "values of complex128"),
        (np.array([["a", "b"]]), "values of <U1"),
        (np.zeros((2, 2), [("a", "u1"), ("b", "u1")]), "values of"),
        (np.zeros((2, 2), [("\u0394", "u1")]), "an array of a kind that holds no image"),
    ],
)
def test_arrays_that_hold_no_image_are_refused(array, reason):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy says that the last is of a newer version
        np.save(buffer, array)
    with pytest.raises(ImageError, match=f"^these bytes: {reason}"):
        read(buffer.getvalue())


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_in_an_array_is_run(tmp_path):
    sign = tmp_path / "run"
    array = np.empty((2, 2), object)
    array[:] = Planted(sign)
    np.save(tmp_path / "objects.npy", array, allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Planted(sign)))
    for name in ("objects.npy", "pickle.npy"):
        with pytest.raises(ImageError, match=rf"{name}: "):
            read(tmp_path / name)
        assert not sign.exists()
    np.load(tmp_path / "objects.npy", allow_pickle=True)[0, 0].close()
    assert sign.exists(), "it would have been"


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2_000_000_000, 1)])
def test_a_header_that_claims_too_much_is_refused(suffix, width, height):
    with pytest.raises(ImageError, match=r"pixels.*max_megapixels="):
        read(claims(suffix, width, height))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_as_many_pixels_as_allowed_are_read(suffix):
    data = made(DecodedImage(noise(30, 40, 1)), suffix)
    assert read(data, max_megapixels=0.0012).pixels.shape == (30, 40, 1)
    with pytest.raises(ImageError, match=r"40 x 30 pixels, more than the 0 million.*max_megapixels=1$"):
        read(data, max_megapixels=0.001199)


def test_more_pixels_than_pillow_allows_are_read_where_asked(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # to be what it was afterwards
    # Past the header there is nothing to decode.
    with pytest.raises(ImageError, match="fewer pixels than its header says"):
        read(claims(".png", 179_000_000, 1), max_megapixels=200)


@pytest.mark.parametrize("lost", [1, 12, 40, 1000])
def test_a_truncated_16_bit_image_is_never_read_as_8_bit(lost):
    data = made(DecodedImage(noise(64, 64, 3, dtype=np.uint16)), ".png")
    with pytest.raises(ImageError, match="truncated"):
        read(data[:-lost])


@pytest.mark.parametrize(
    ("suffix", "depth"), [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".npy", np.uint8)]
)
def test_a_file_truncated_anywhere_is_refused(suffix, depth):
    data = made(DecodedImage(noise(9, 9, 3, dtype=depth)), suffix)
    for length in range(1, len(data) - 20, 3):
        with pytest.raises(ImageError, match=r"^these bytes: ."):
            read(data[:length])


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_random_bytes_never_crash(start, rest):
    with contextlib.suppress(ImageError):
        assert read(start + rest).pixels.size


@pytest.mark.parametrize("orientation", [0, 9, 1000])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_an_invalid_orientation_is_ignored(orientation, depth):
    pixels = noise(2, 3, 3, dtype=depth)
    turn = (b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    rows = [row.astype(np.dtype(depth).newbyteorder(">")).tobytes() for row in pixels]
    assert_array_equal(read(png((3, 2), 8 * pixels.itemsize, 2, rows, turn)).pixels, pixels, strict=True)


def test_an_exif_thumbnail_is_dropped_with_the_orientation():
    # A directory for the image and a second one for its thumbnail (TIFF 6, section 2; EXIF 2.3, 4.5.8).
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "JPEG")
    small = buffer.getvalue()
    maker = b"Maker\0"
    first = struct.pack("<H", 2) + struct.pack("<HHII", 0x10F, 2, len(maker), 8 + 2 + 24 + 4)
    first += struct.pack("<HHIHH", 0x112, 3, 1, QUARTER_TURN, 0)
    second_at = 8 + len(first) + 4 + len(maker)
    small_at = second_at + 2 + 24 + 4
    second = struct.pack("<H", 2) + struct.pack("<HHII", 0x201, 4, 1, small_at)
    second += struct.pack("<HHII", 0x202, 4, 1, len(small)) + bytes(4)
    tags = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", second_at) + maker + second + small
    buffer = io.BytesIO()
    Image.fromarray(noise(16, 32, 3)).save(buffer, "JPEG", exif=tags)
    assert buffer.getvalue().count(b"\xff\xd8\xff") == 2
    image = read(buffer.getvalue())
    assert image.pixels.shape == (32, 16, 3)
    kept = Image.Exif()
    kept.load(image.exif)
    assert dict(kept) == {0x10F: "Maker"}
    assert b"\xff\xd8" not in image.exif
    again = read(encode(image, ".jpg"))
    assert (again.pixels.shape, again.exif) == ((32, 16, 3), image.exif)


def cmyk_profile():
    """A profile by which cyan ink is sRGB's red, and no ink is white (ICC.1:2001, 6.5.6)."""
    lab = {(1, 0, 0, 0): (136, 208, 195)}  # L 53, a 80, b 67
    inks = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"".join(bytes(lab.get(ink, (255, 128, 128) if not any(ink) else (0, 128, 128))) for ink in inks)
    identity = struct.pack(">9i", *(65536 if index % 4 == 0 else 0 for index in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    lut += bytes(-len(lut) % 4)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    start = 128 + 4 + 2 * 12
    tags = struct.pack(">I", 2) + struct.pack(">4sII", b"A2B0", start, len(lut))
    tags += struct.pack(">4sII", b"wtpt", start + len(lut), len(white))
    header = struct.pack(">I4sI4s4s4s", start + len(lut) + len(white), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + lut + white


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk_is_converted_by_its_profile(suffix):
    image = Image.new("CMYK", (32, 16), (255, 0, 0, 0))
    image.paste((0, 0, 0, 0), (16, 0, 32, 16))
    buffer = io.BytesIO()
    options = {"quality": 100} if suffix == "jpg" else {}
    image.save(buffer, Image.registered_extensions()[f".{suffix}"], icc_profile=cmyk_profile(), **options)
    decoded = read(buffer.getvalue())
    near = decoded.pixels[8, 8::16].astype(int)
    assert np.abs(near - [[255, 0, 0], [255, 255, 255]]).max() <= 12
    assert decoded.icc is None


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_of_several_frames_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (9, 7), (40 * n, 0, 0)) for n in range(1, 4)]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **options)
    image = read(tmp_path / f"x.{suffix}")
    assert image.frames == 3
    assert image.pixels.shape == (7, 9, 3)
    assert image.pixels[0, 0].tolist() == [40, 0, 0]


def test_the_contents_decide_the_format_and_not_the_name(tmp_path):
    image = DecodedImage(noise(5, 7, 3))
    names = ("x.png", "x.jpg", "x.npy", "x.gif", "x.tif")
    for suffix, name in zip((".tif", ".npy", ".bmp", ".webp", ".png"), names, strict=True):
        (tmp_path / name).write_bytes(made(image, suffix))
        assert_array_equal(read(tmp_path / name).pixels, image.pixels, strict=True)


def test_special_files_are_not_images(tmp_path):
    make_special(tmp_path)
    (tmp_path / "x.png").mkdir()
    (tmp_path / "x.png" / "1.png").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with no_waiting():
        assert images_in(tmp_path) == [tmp_path / "x.png" / "1.png"]
