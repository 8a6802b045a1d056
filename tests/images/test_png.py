"""PNG files whose checksums, structure or sizes are wrong."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from support.images import noise, png

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_pixels(packed, *, width=9, height=7, depth=8, colour=2, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


BOMB = zlib.compress(bytes(5 * 10**7))
RAW = b"".join(b"\0" + row.tobytes() for row in noise(7, 9, 3))


@pytest.mark.parametrize("depth", [8, 16])
def test_every_flipped_bit_of_a_png_is_noticed(depth):
    pixels = noise(5, 4, 3, dtype=np.uint8 if depth == 8 else np.uint16)
    data = png((4, 5), depth, 2, [row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels])
    assert_array_equal(read(data).pixels, pixels, strict=True)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ImageError):
            read(bytes(damaged))


def test_a_wrong_checksum_of_a_chunk_is_named():
    for kind in (b"IHDR", b"PLTE", b"tEXt", b"IDAT", b"IEND"):
        rows = [bytes([0, 1, 1, 0])]
        data = bytearray(png((4, 1), 8, 3, rows, (b"PLTE", bytes(6)), (b"tEXt", b"a\0b")))
        at = data.index(kind)
        length = int.from_bytes(data[at - 4 : at], "big")
        data[at + 4 + length] ^= 1
        with pytest.raises(ImageError, match=f"damaged: the checksum of its {kind.decode()} chunk is wrong"):
            read(bytes(data))


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (zlib.compress(RAW)[:-1] + bytes([zlib.compress(RAW)[-1] ^ 1]), "damaged: the checksum of its pixels is wrong"),
        (zlib.compress(RAW)[:-4], "truncated"),
        (zlib.compress(RAW)[:-4] + bytes(4), "damaged: the checksum of its pixels is wrong"),
        (zlib.compress(RAW[:-1]), "damaged: it holds fewer pixels than its header says"),
        (zlib.compress(RAW + b"\0"), "damaged: it holds more pixels than its header says"),
        (zlib.compress(b"\5" + RAW[1:]), "damaged: a row of it has an unknown filter"),
        (b"no zlib at all", "damaged: its pixels can't be unpacked"),
    ],
)
def test_pixels_that_are_wrong_under_right_checksums_of_chunks_are_refused(packed, reason):
    assert_array_equal(read(with_pixels(zlib.compress(RAW))).pixels, noise(7, 9, 3), strict=True)
    with pytest.raises(ImageError, match=reason):
        read(with_pixels(packed))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (13, 11), (33, 17)])
@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 8), (2, 8), (2, 16), (4, 16), (6, 8)])
def test_interlaced_images_are_read(colour, depth, size):
    # Adam7 (PNG specification, 8.2), each pass an image of its own.
    width, height = size
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    pixels = noise(height, width, channels, dtype=np.uint16 if depth == 16 else np.uint8)
    pixels = pixels % 2 if depth == 1 else pixels
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for left, top, across, down in passes:
        for row in pixels[top::down, left::across]:
            if row.size:
                stored = np.packbits(row) if depth == 1 else row.astype(row.dtype.newbyteorder(">"))
                raw += b"\0" + stored.tobytes()
    image = read(with_pixels(zlib.compress(raw), width=width, height=height, depth=depth, colour=colour, interlaced=1))
    whole = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    assert_array_equal(whole, pixels * 255 if depth == 1 else pixels, strict=True)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_becomes_alpha_at_every_depth(depth):
    pixels = np.array([0, 1, 1, 0]) if depth == 1 else np.array([0, 1, 2**depth - 1, 1])
    bits = "".join(f"{level:0{depth}b}" for level in pixels).ljust(8, "0")
    row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    image = read(png((4, 1), depth, 0, [row], (b"tRNS", struct.pack(">H", 1))))
    white = 65535 if depth == 16 else 255
    assert image.pixels[0, :, 0].tolist() == (pixels * (white // (2**depth - 1))).tolist()
    assert image.alpha.tolist() == [[0 if level == 1 else white for level in pixels]]
    assert image.alpha.dtype == image.pixels.dtype


def test_a_transparent_colour_of_16_bits_becomes_alpha():
    row = struct.pack(">6H", 300, 301, 302, 300, 301, 303)
    image = read(png((2, 1), 16, 2, [row], (b"tRNS", struct.pack(">3H", 300, 301, 302))))
    assert image.pixels.tolist() == [[[300, 301, 302], [300, 301, 303]]]
    assert image.alpha.tolist() == [[0, 65535]]


def test_an_animation_is_checked_to_its_end():
    frames = [Image.fromarray(noise(7, 9, 3, seed=n)) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    data = bytearray(buffer.getvalue())
    assert_array_equal(read(bytes(data)).pixels, noise(7, 9, 3), strict=True)
    assert read(bytes(data)).frames == 3
    data[data.rindex(b"fdAT") + 10] ^= 1
    with pytest.raises(ImageError, match="the checksum of its fdAT chunk is wrong"):
        read(bytes(data))


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"pHYs", b"tIME", b"acTL", b"xYzz"])
def test_damaged_metadata_hides_no_pixels(kind):
    for body in (b"", b"x", bytes(99), b"x\0\0" + BOMB, b"MM\0*\0\0\0\x08\xff\xff", noise(50).tobytes()):
        rows = [row.tobytes() for row in noise(7, 9, 3)]
        image = read(png((9, 7), 8, 2, rows, (kind, body)))
        assert_array_equal(image.pixels, noise(7, 9, 3), strict=True)
        assert image.icc is None


def test_a_profile_of_two_megabytes_is_kept():
    profile = noise(2 * 2**20).tobytes()
    rows = [row.tobytes() for row in noise(7, 9, 3)]
    image = read(png((9, 7), 8, 2, rows, (b"iCCP", b"inks\0\0" + zlib.compress(profile))))
    assert image.icc == profile


@pytest.mark.parametrize("key", [b"tEXt", b"zTXt"])
def test_an_orientation_that_imagemagick_wrote_as_text_is_applied(key):
    tags = Image.Exif()
    tags[0x0112] = 6
    hexadecimal = tags.tobytes().hex()
    text = f"\nexif\n{len(hexadecimal) // 2:8}\n{hexadecimal}\n".encode()
    body = b"Raw profile type exif\0" + (b"\0" + zlib.compress(text) if key == b"zTXt" else text)
    rows = [row.tobytes() for row in noise(7, 9, 3)]
    assert_array_equal(read(png((9, 7), 8, 2, rows, (key, body))).pixels, np.rot90(noise(7, 9, 3), -1))


def test_16_bit_colour_wider_than_the_decoder_takes_is_refused():
    data = with_pixels(zlib.compress(bytes(1 + 6 * 1_000_001)), width=1_000_001, height=1, depth=16)
    with pytest.raises(ImageError, match="1000001 x 1 pixels; 16-bit colour has at most 1000000 on a side"):
        read(data)
    data = with_pixels(zlib.compress(bytes(1 + 3 * 1_100_000)), width=1_100_000, height=1)
    assert isinstance(read(data), DecodedImage)
