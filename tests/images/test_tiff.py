"""TIFF files of other programs: any number of channels, every layout and compression, metadata."""

import io
import lzma
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.images.writing import encode
from support.images import assert_same_image, enter, made, noise, same, tiff
from support.pairwise import pairwise

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DEPTHS = (np.uint8, np.uint16, np.float32)
CHANNELS = (1, 2, 3, 4, 5, 13)

# Of a GeoTIFF (OGC 19-008r4, annex C): code, type, count, value.
GEO = (
    (33550, 12, 3, (10.0, 10.0, 0.0)),
    (33922, 12, 6, (0.0, 0.0, 0.0, 440720.5, 3751320.25, 0.0)),
    (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1)),
    (34736, 12, 2, (6378137.0, 298.257223563)),
    (34737, 2, 9, "WGS 84 |"),
)


LAYOUTS = [
    {},
    {"planes": True},
    {"tile": (16, 16)},
    {"planes": True, "tile": (16, 16)},
    {"rowsperstrip": 3},
    {"compression": "zlib"},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"metadata": None},
]


@pytest.mark.parametrize(("options", "channels", "depth"), pairwise(LAYOUTS, CHANNELS, DEPTHS), ids=str)
def test_every_layout_is_read(options, channels, depth):
    if channels == 1 and options.get("planes"):
        options = {name: value for name, value in options.items() if name != "planes"}
    pixels = noise(20, 23, channels, dtype=depth)
    image = read(tiff(pixels, **options))
    assert_array_equal(image.pixels, pixels, strict=True)
    assert image.alpha is None
    assert image.frames == 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_horizontal_differencing_is_undone(channels, depth):
    pixels = noise(20, 23, channels, dtype=depth)
    assert_array_equal(read(tiff(pixels, compression="zlib", predictor=True)).pixels, pixels, strict=True)


# Compression: none, LZW, deflate.
@pytest.mark.parametrize(("compression", "channels", "depth"), pairwise([1, 5, 32946], [1, 3, 4], DEPTHS))
def test_what_opencv_wrote_is_read(compression, channels, depth):
    pixels = noise(20, 23, channels, dtype=depth)
    done, data = cv2.imencode(".tif", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert done
    image = read(data.tobytes())
    assert_array_equal(image.pixels, pixels[..., 2::-1] if channels > 1 else pixels, strict=True)
    if channels == 4:
        assert_array_equal(image.alpha, pixels[..., 3], strict=True)


def with_tag(data, code, value):
    """A TIFF with the 16-bit value of a tag written over."""
    data = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        index = file.pages.first.tags[code].valueoffset
    data[index : index + 2] = value.to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize(("code", "name"), [(50002, "jpegxl"), (34887, "lerc"), (6, "ojpeg"), (999, "number 999")])
def test_an_unsupported_compression_is_named_with_what_to_do(code, name):
    with pytest.raises(ImageError, match=rf"its compression \({name}\) can't be read; save it with deflate"):
        read(with_tag(tiff(noise(20, 23, 5)), 259, code))


PARTS = [{}, {"tile": (16, 16)}, {"rowsperstrip": 3}]


@pytest.mark.parametrize(
    ("compression", "channels", "layout"),
    [*pairwise(["zstd", "jpeg2000", "lzma", "lzw", "packbits"], [1, 3, 4], PARTS), *pairwise(["webp"], [3, 4], PARTS)],
    ids=str,
)
def test_what_imagecodecs_compressed_is_read(compression, channels, layout):
    pixels = noise(20, 23, channels)
    arguments = {"lossless": True} if compression == "webp" else None
    data = tiff(pixels, compression=compression, compressionargs=arguments, **layout)
    assert_array_equal(read(data).pixels, pixels, strict=True)


@pytest.mark.parametrize(
    ("compression", "tag", "size"), pairwise(["webp", "jpeg2000", "jpeg"], [256, 257], [15, 17, 1000])
)
def test_an_image_in_a_strip_of_another_size_is_refused(compression, tag, size):
    data = tiff(noise(16, 16, 3), compression=compression, rowsperstrip=16)
    assert read(data).pixels.shape == (16, 16, 3)
    data = with_tag(with_tag(data, tag, size), 278, size if tag == 257 else 16)
    with pytest.raises(ImageError, match=r"damaged|allowed"):
        read(data)


@pytest.mark.parametrize("container", ["JP2", "J2K"])
def test_a_jpeg_2000_larger_than_its_strip_is_refused_before_it_is_decoded(container):
    large = imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint8), codecformat=container)
    with pytest.raises(ImageError, match="no JPEG 2000 of 16 x 16 pixels"):
        read(strip(large, 34712))


def strip(packed, compression):
    """A grey TIFF of 16 x 16 pixels in a single strip."""
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, compression), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    tags += [(278, 3, 16), (279, 4, len(packed))]
    entries = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags)
    return (struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + bytes(packed)


PIXELS = noise(16, 16, 1)
PACKERS = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32773: imagecodecs.packbits_encode,
    34925: lzma.compress,
    50000: imagecodecs.zstd_encode,
}
SHORT = "damaged: one of its strips or tiles is too short$"
MORE = "damaged: one of its strips or tiles holds more than its header says$"


@pytest.mark.parametrize("compression", PACKERS)
def test_a_strip_of_fewer_values_than_its_header_says_is_refused(compression):
    packed = PACKERS[compression](PIXELS.tobytes())
    assert_array_equal(read(strip(packed, compression)).pixels, PIXELS, strict=True)
    for rows in (0, 1, 15):
        packed = PACKERS[compression](PIXELS[:rows].tobytes())
        with pytest.raises(ImageError, match="truncated: the file ends" if compression == 1 else SHORT):
            read(strip(packed, compression))


@pytest.mark.parametrize("compression", [8, 32773, 50000])
@pytest.mark.parametrize("surplus", [1, 100_000])
def test_a_strip_of_more_values_than_its_header_says_is_refused(compression, surplus):
    with pytest.raises(ImageError, match=MORE):
        read(strip(PACKERS[compression](PIXELS.tobytes() + bytes(surplus)), compression))


DEFLATED = zlib.compress(PIXELS.tobytes())


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (DEFLATED[:-1] + bytes([DEFLATED[-1] ^ 1]), "damaged: the checksum of its pixels is wrong$"),
        (DEFLATED[:-4], "truncated: the file ends before its image does$"),
        (DEFLATED[:100], "truncated: the file ends before its image does$"),
        (bytes(100), "damaged: one of its strips or tiles can't be unpacked$"),
    ],
)
def test_damage_of_deflated_pixels_is_named(packed, reason):
    with pytest.raises(ImageError, match=reason):
        read(strip(packed, 8))


def test_old_style_lzw_is_read():
    # Codes of 9 bits from the lowest bit on; a clear code before each row keeps them so short.
    codes = [code for row in PIXELS for code in (256, *row.ravel().tolist())] + [257]
    packed = sum(code << 9 * index for index, code in enumerate(codes)).to_bytes(9 * len(codes) // 8 + 1, "little")
    assert_array_equal(read(strip(packed, 5)).pixels, PIXELS, strict=True)


def test_a_volume_is_refused():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(5, 20, 23), volumetric=True, tile=(16, 16, 16))
    with pytest.raises(ImageError, match="a volume can't be read; save each slice of it as an image"):
        read(buffer.getvalue())


def test_colours_that_cannot_be_read_are_named():
    with pytest.raises(ImageError, match=r"its colours \(CIELAB\) can't be read; save it as grey or RGB"):
        read(with_tag(tiff(noise(20, 23, 3)), 262, 8))


@pytest.mark.parametrize(
    ("compression", "shape"),
    [
        ("tiff_lzw", (40, 50)),
        ("tiff_lzw", (40, 50, 4)),
        ("tiff_adobe_deflate", (40, 50, 3)),
        ("packbits", (40, 50, 4)),
        ("packbits", (40, 50)),
        ("tiff_lzma", (40, 50, 3)),
        ("raw", (40, 50, 4)),
    ],
)
def test_what_pillow_wrote_is_read(compression, shape):
    buffer, pixels = io.BytesIO(), noise(*shape)
    pixels[:, :25] = 7  # long runs
    Image.fromarray(pixels).save(buffer, "TIFF", compression=compression)
    image = read(buffer.getvalue())
    whole = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    assert_array_equal(whole, pixels if pixels.ndim == 3 else pixels[..., None], strict=True)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("kind", ["noise", "flat", "ramp", "few"])
def test_lzw_of_libtiff_is_decoded(kind, predictor):
    # More than a table full of codes in a strip, runs of one byte, and copies of copies.
    pixels = {
        "noise": noise(90, 100, 3),
        "flat": np.full((300, 400, 3), 9, np.uint8),
        "ramp": np.add.outer(np.arange(200), np.arange(300)).astype(np.uint8)[..., None].repeat(3, 2),
        "few": noise(120, 150, 3) & 1,
    }[kind]
    options = {278: pixels.shape[0]} | ({317: 2} if predictor else {})
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF", compression="tiff_lzw", tiffinfo=options)
    assert_array_equal(read(buffer.getvalue()).pixels, pixels, strict=True)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_in_a_tiff_is_read_as_pillow_reads_it(mode):
    smooth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    image = Image.fromarray(smooth).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression="jpeg", quality=95)
    wanted = np.asarray(Image.open(buffer).convert("L" if mode == "L" else "RGB"))
    pixels = read(buffer.getvalue()).pixels
    assert np.abs(pixels.astype(int) - wanted.reshape(pixels.shape)).max() <= 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_floating_point_predictor_is_undone(dtype, order):
    # TIFF Technical Note 3: the bytes of a row, the highest of all values first, each as its difference.
    pixels = noise(6, 7, 2, dtype=dtype)
    size = pixels.itemsize
    planes = pixels.astype(pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(6, 14, size).transpose(0, 2, 1)
    rows = planes.reshape(6, -1, 2)
    rows = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
    plain = tiff(pixels, byteorder=order)
    with tifffile.TiffFile(io.BytesIO(plain)) as file:
        index, tag = file.pages.first.dataoffsets[0], file.pages.first.tags[284].offset
    entry = struct.pack(f"{order}HHIHH", 317, 3, 1, 3, 0)  # in place of the one that says that there are no planes
    data = plain[:tag] + entry + plain[tag + 12 : index] + rows.tobytes() + plain[index + rows.nbytes :]
    assert_array_equal(read(data).pixels, pixels.astype(np.float32), strict=True)


def packed(pixels, bits):
    """A TIFF of values (H, W, C) of `bits` bits each, rows padded to whole bytes."""
    rows = ["".join(f"{value:0{bits}b}" for value in row.ravel()) for row in pixels]
    raw = b"".join(int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big") for row in rows)
    height, width, channels = pixels.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 2 if channels == 3 else 1)]
    tags += [(273, 4, 300), (277, 3, channels), (278, 3, height), (279, 4, len(raw))]
    entries = b""
    for code, kind, value in tags:
        if code == 258 and channels == 3:
            entries += struct.pack("<HHII", code, kind, 3, 200)
        else:
            entries += struct.pack("<HHII", code, kind, 1, value)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + struct.pack("<3H", bits, bits, bits).ljust(100, b"\0") + raw


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_values_of_any_bit_depth_are_scaled_to_white(bits, channels):
    pixels = np.random.default_rng(0).integers(0, 2**bits, (5, 7, channels))
    pixels[0, 0], pixels[0, 1] = 0, 2**bits - 1
    white = 255 if bits < 8 else 65535
    image = read(packed(pixels, bits))
    assert image.pixels.dtype == (np.uint8 if bits < 8 else np.uint16)
    assert_array_equal(image.pixels, np.round(pixels * (white / (2**bits - 1))))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_wide_integers_are_read_as_16_bit_and_refused_above(dtype):
    pixels = noise(5, 7, 1, dtype=np.uint16)
    assert_array_equal(read(tiff(pixels.astype(dtype))).pixels, pixels, strict=True)
    pixels = pixels.astype(dtype)
    pixels[2, 2] = 70_000
    with pytest.raises(ImageError, match=r"-bit integers up to 70000, of which 65535 is the highest.*scale them to 16"):
        read(tiff(pixels))


@pytest.mark.parametrize(("channels", "depth"), [*zip([2, 4, 5], DEPTHS, strict=True)])
def test_an_array_that_became_a_page_for_each_row_is_one_image(channels, depth):
    pixels, buffer = noise(20, 23, channels, dtype=depth), io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="minisblack")
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        assert len(file.pages) == 20
    image = read(buffer.getvalue())
    assert_array_equal(image.pixels, pixels, strict=True)
    assert image.frames == 1


@pytest.mark.parametrize("depth", DEPTHS)
def test_pages_are_counted_as_frames(depth):
    pages, buffer = noise(3, 20, 23, dtype=depth), io.BytesIO()
    tifffile.imwrite(buffer, pages, photometric="minisblack")
    image = read(buffer.getvalue())
    assert_array_equal(image.pixels[..., 0], pages[0], strict=True)
    assert image.frames == 3


@pytest.mark.parametrize(("channels", "depth"), [*zip([1, 3, 5], DEPTHS, strict=True)])
def test_smaller_copies_of_an_image_are_not_counted(channels, depth):
    pixels, buffer = noise(20, 24, channels, dtype=depth), io.BytesIO()
    stored = pixels if channels > 1 else pixels[..., 0]
    layout = {
        "photometric": "rgb" if channels == 3 else "minisblack",
        "planarconfig": "contig" if channels > 1 else None,
    }
    with tifffile.TiffWriter(buffer) as file:
        file.write(stored, **layout)
        file.write(stored[::2, ::2], subfiletype=1, **layout)
        file.write(stored[::4, ::4], subfiletype=1, **layout)
    image = read(buffer.getvalue())
    assert image.frames == 1
    assert_array_equal(image.pixels, pixels, strict=True)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_thumbnail_before_the_image_is_passed_over(byteorder, bigtiff):
    pixels, buffer = noise(40, 48, 3), io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=byteorder, bigtiff=bigtiff) as file:
        file.write(pixels[::4, ::4], subfiletype=1, photometric="rgb", metadata=None)
        file.write(pixels[..., 0] > 99, subfiletype=4, photometric="minisblack", metadata=None)
        file.write(pixels, photometric="rgb", metadata=None)
    image = read(buffer.getvalue())
    assert_array_equal(image.pixels, pixels, strict=True)
    assert image.frames == 1


def test_very_many_pages_are_not_counted_to_the_end():
    data = bytearray(tiff(noise(4, 5, 1), metadata=None))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        start = file.pages.first.offset
    (count,) = struct.unpack_from("<H", data, start)
    next_page = start + 2 + 12 * count
    data[next_page : next_page + 4] = struct.pack("<I", len(data))
    pages = range(len(data), len(data) + 18 * 99_999, 18)
    chain = b"".join(struct.pack("<HHHIII", 1, 256, 3, 1, 5, page + 18) for page in pages)
    assert read(bytes(data) + chain).frames == 10_000


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_first_page_is_read_where_the_next_is_damaged(depth):
    pages, buffer = noise(3, 20, 23, dtype=depth), io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for page in pages:
            file.write(page, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        index = file.pages[1].offset
    data = buffer.getvalue()[:index] + b"\xff" * 40 + buffer.getvalue()[index + 40 :]
    assert_array_equal(read(data).pixels[..., 0], pages[0], strict=True)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_unspecified_fourth_channel_is_not_alpha(depth):
    values = noise(9, 11, 4, dtype=depth)
    image = read(tiff(values))
    assert_array_equal(image.pixels, values, strict=True)
    assert image.alpha is None
    with pytest.raises(ImageError, match="an image of 4 channels where 3 are needed"):
        enter(image, 3)
    pixels, leave = enter(image, 4)
    assert_same_image(leave(pixels), image, atol=1e-6)


def test_rgbx_of_pillow_is_four_channels():
    pixels, buffer = noise(9, 11, 4), io.BytesIO()
    Image.frombytes("RGBX", (11, 9), pixels.tobytes()).save(buffer, "TIFF")
    image = read(buffer.getvalue())
    assert_array_equal(image.pixels, pixels, strict=True)
    assert image.alpha is None


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_declared_alpha_is_alpha(channels, depth):
    image = DecodedImage(noise(9, 11, channels, dtype=depth), noise(9, 11, dtype=depth, seed=1))
    assert_same_image(read(made(image, ".tif")), image)


@pytest.mark.parametrize(("depth", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_premultiplied_alpha_is_undone(depth, white):
    colours = np.array([[[200, 100, 0], [10, 20, 30], [7, 7, 7]]]) * (white / 255)
    shares = np.array([[0.5, 1.0, 0.0]])
    values = np.dstack([colours * shares[..., None], shares * white])
    buffer = io.BytesIO()
    stored = np.round(values).astype(depth) if white > 1 else values.astype(depth)
    tifffile.imwrite(buffer, stored, photometric="rgb", extrasamples=["assocalpha"])
    image = read(buffer.getvalue())
    assert_array_equal(image.alpha, stored[..., 3], strict=True)
    apart = np.abs(image.pixels[0, :2] - colours[0, :2]) / white
    assert apart.max() <= (1 / 255 if white > 1 else 1e-6)


@pytest.mark.parametrize("depth", DEPTHS)
def test_white_is_zero_is_inverted(depth):
    pixels = noise(9, 11, 1, dtype=depth)
    white = 1 if depth == np.float32 else np.iinfo(depth).max
    assert_array_equal(read(tiff(pixels, photometric="miniswhite")).pixels, depth(white) - pixels, strict=True)


def packed_by_opencv(pixels, orientation):
    """LZW, with an orientation written over the one that says it is upright."""
    done, data = cv2.imencode(".tif", pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert done
    with tifffile.TiffFile(io.BytesIO(data.tobytes())) as file:
        index = file.pages.first.tags[284].offset  # says that there are no planes, as is so without it
    entry = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    return data.tobytes()[:index] + entry + data.tobytes()[index + 12 :]


UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


KINDS = [(3, np.uint8), (1, np.uint16), (3, np.uint16), (5, np.uint8), (1, np.float32)]


@pytest.mark.parametrize(("orientation", "kind", "packed"), pairwise(list(UPRIGHT), KINDS, [False, True]), ids=str)
def test_orientation_is_applied_once(orientation, kind, packed):
    channels, depth = kind
    pixels = noise(5, 9, channels, dtype=depth)
    data = tiff(pixels, extratags=[(274, 3, 1, orientation, True)])
    if packed and channels < 5:
        data = packed_by_opencv(pixels, orientation)
    image = read(data)
    assert_array_equal(image.pixels, UPRIGHT[orientation](pixels), strict=True)
    assert_array_equal(read(encode(image, ".tif")).pixels, image.pixels, strict=True)


@pytest.mark.parametrize(("channels", "depth"), [*zip(CHANNELS, DEPTHS * 2, strict=True)])
def test_profile_resolution_and_georeference_are_kept(channels, depth):
    extra = [(*tag, True) for tag in GEO]
    about = {"iccprofile": ICC, "resolution": (300, 150), "resolutionunit": "inch", "extratags": extra}
    image = read(tiff(noise(9, 11, channels, dtype=depth), **about))
    assert (image.icc, image.dpi, image.geo) == (ICC, (300, 150), GEO)
    result = same(channels)(image)
    again = read(encode(result, ".tif"))
    assert (again.icc, again.dpi, again.geo) == (ICC, (300, 150), GEO)
    assert_same_image(again, image, atol=1e-6)
    with tifffile.TiffFile(io.BytesIO(encode(result, ".tif"))) as file:
        page = file.pages.first
        assert tuple((code, page.tags.valueof(code)) for code, *_ in GEO) == tuple((tag[0], tag[3]) for tag in GEO)
        assert page.iccprofile == ICC
        assert page.get_resolution("inch") == (300, 150)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_resolution_in_centimetres_is_converted_to_inches(depth):
    image = read(tiff(noise(9, 11, 3, dtype=depth), resolution=(100, 50), resolutionunit="centimeter"))
    assert image.dpi == pytest.approx((254, 127))
    assert read(tiff(noise(9, 11, 3, dtype=depth), resolution=(100, 50), resolutionunit="none")).dpi in (None, (1, 1))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy"])
def test_a_georeference_is_left_out_of_formats_without_one(suffix):
    assert read(encode(DecodedImage(noise(9, 11, 3), geo=GEO), suffix)).geo == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_read_as_floats(dtype):
    pixels = noise(9, 11, 2, dtype=dtype)
    assert_array_equal(read(tiff(pixels)).pixels, pixels.astype(np.float32), strict=True)


@pytest.mark.parametrize(("channels", "depth"), [*zip(CHANNELS, DEPTHS[1:] + DEPTHS[:1] * 2 + DEPTHS[1:], strict=True)])
def test_what_is_written_is_read_by_others(channels, depth):
    pixels = noise(9, 11, channels, dtype=depth)
    values = tifffile.imread(io.BytesIO(encode(DecodedImage(pixels), ".tif")))
    assert_array_equal(values.reshape(pixels.shape), pixels, strict=True)


@pytest.mark.parametrize(
    "data",
    [b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\x7f" + bytes(20), b"II*\0\x08\0\0\0\0\0\0\0\0\0"],
)
def test_a_header_without_pages_is_not_an_image(data):
    with pytest.raises(ImageError, match=r"^these bytes: damaged or truncated: it is a TIFF without an image$"):
        read(data)
