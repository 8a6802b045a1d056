"""The table of formats, formats recognised by their first bytes, and limits of size."""

import io
import os
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from i2i.cli import main
from i2i.errors import ImageError, UsageError
from i2i.images import formats
from i2i.images.decoded import DecodedImage
from i2i.images.limits import check_size, max_file_bytes
from i2i.images.reading import images_in, read
from i2i.images.writing import encode
from support.images import noise

FTYP = b"\0\0\0\x18ftyp"
RAW = "a camera's raw image; develop it to TIFF or JPEG first"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (FTYP + b"heic\0\0\0\0mif1heic", "HEIC; convert it to PNG or TIFF first"),
        (FTYP + b"mif1\0\0\0\0mif1heic", "HEIC; convert it to PNG or TIFF first"),
        (FTYP + b"avif\0\0\0\0avifmif1", "AVIF; convert it to PNG or TIFF first"),
        (FTYP + b"mif1\0\0\0\0avifmif1", "AVIF; convert it to PNG or TIFF first"),
        (FTYP + b"crx \0\0\0\x01crx isom", RAW),
        (FTYP + b"isom\0\0\0\x01isomavc1", "a video; extract its frames first"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL; convert it to PNG or TIFF first"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL; convert it to PNG or TIFF first"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000; convert it to PNG or TIFF first"),
        (b"8BPS\0\x01", "a Photoshop file; convert it to PNG or TIFF first"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF; convert its pages to PNG first"),
        (b"II*\0\x10\0\0\0CR\x02\0", RAW),
        (b"FUJIFILMCCD-RAW 0201", RAW),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing; render it to PNG first"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "an HTML page, as failed downloads leave it"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d",
            "a Git LFS pointer in place of the file; run: git",
        ),
        (b"PK\x03\x04\x14\0", "a ZIP archive (as .npz is); unpack it first"),
        (b"404: Not Found\n", "text"),
    ],
)
def test_unreadable_files_are_named_for_what_they_are(tmp_path, data, name):
    (tmp_path / "photo.png").write_bytes(data)
    with pytest.raises(ImageError) as error:
        read(tmp_path / "photo.png")
    assert str(error.value).startswith(f"{tmp_path / 'photo.png'}: not an image that can be read: {name}")


@pytest.mark.parametrize("suffix", ["avif", "psd", "jp2", "ico", "ppm"])
def test_other_formats_are_refused_in_a_line(suffix):
    buffer, image = io.BytesIO(), Image.new("RGB", (16, 16))
    if suffix == "psd":
        buffer.write(b"8BPS" + bytes(30))
    elif image.format is None and Image.registered_extensions().get(f".{suffix}") in Image.SAVE:
        image.save(buffer, Image.registered_extensions()[f".{suffix}"])
    else:
        pytest.skip("this Pillow does not write it")
    with pytest.raises(ImageError, match=r"^these bytes: not an image that can be read"):
        read(buffer.getvalue())


def test_a_decoded_image_takes_at_most_8_bytes_for_each_pixel_that_is_allowed():
    check_size(1000, 1000, 1_000_000, pixel_bytes=8)
    with pytest.raises(
        ImageError, match=r"^1000 x 1000 pixels of 9 bytes are 9 MB, more than the 8 MB .*max_megapixels=2$"
    ):
        check_size(1000, 1000, 1_000_000, pixel_bytes=9)
    # With the number that it says.
    check_size(1000, 1000, 2_000_000, pixel_bytes=9)


@pytest.mark.parametrize("start", [b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff", b"BM"])
def test_a_huge_file_is_refused_without_being_read(tmp_path, start):
    path = tmp_path / "sparse.png"
    path.write_bytes(start)
    os.truncate(path, 40 * 10**9)  # of which the disk holds nothing
    reason = "a file of 40000 MB, more than the 1491 MB.*max_megapixels=4992" if start else "not an image that can be"
    with pytest.raises(ImageError, match=reason):
        read(path)


def test_a_file_of_the_largest_size_is_read(tmp_path):
    path, pixels = tmp_path / "x.bmp", np.zeros((4, 4, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    os.truncate(path, max_file_bytes(16))
    assert (read(path, max_megapixels=16e-6).pixels == 0).all()
    os.truncate(path, max_file_bytes(16) + 1)
    with pytest.raises(ImageError, match="a file of 67 MB"):
        read(path, max_megapixels=16e-6)


def test_an_endless_file_is_refused():
    with pytest.raises(ImageError, match="not an image that can be read"):
        read("/dev/zero")


# A format of one entry, as a plug-in would add it: 8-bit RGB after a line with its size.
TOY = """
import numpy as np
from i2i.images.decoded import DecodedImage
from i2i.images.formats import ImageFormat, register
from i2i.images.limits import check_size

def decode(data, /, *, max_pixels):
    head, _, body = data.partition(b"\\n")
    width, height = map(int, head.split()[1:])
    check_size(width, height, max_pixels, pixel_bytes=3)
    return DecodedImage(np.frombuffer(body, np.uint8).reshape(height, width, 3))

def encode(image, /, *, quality):
    height, width, channels = image.pixels.shape
    assert (channels, image.pixels.dtype, image.alpha, image.icc) == (3, np.uint8, None, None)
    return b"TOY %d %d\\n" % (width, height) + image.pixels.tobytes()

register(ImageFormat("Toy", (".toy",), rb"TOY \\d", decode, encode, channels=frozenset({3})))
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A module that registers a format, which is forgotten after the test."""
    monkeypatch.setattr(formats, "_FORMATS", dict(formats._FORMATS))
    path = tmp_path / "toy_format.py"
    path.write_text(TOY.replace("\\\\", "\\"))
    return path


def test_a_registered_format_is_translated_from_and_to(toy, tmp_path, run, capsys):
    source, pixels = tmp_path / "in", noise(40, 48, 3)
    source.mkdir()
    (source / "photo.toy").write_bytes(b"TOY 48 40\n" + pixels.tobytes())
    words = ["translate", str(source), "--model", str(run), "--device", "cpu"]
    assert main([*words[:2], str(tmp_path / "unknown"), *words[2:]]) == 2, "no plug-in: no such image"
    assert "no images there" in capsys.readouterr().err

    for suffix, flags in {"toy": [], "png": ["--format", "png"]}.items():
        out = tmp_path / suffix
        assert main([*words[:2], str(out), *words[2:], "--import", str(toy), *flags]) == 0
        assert read(out / f"photo.{suffix}").pixels.shape == (40, 48, 3)
    assert (tmp_path / "toy" / "photo.toy").read_bytes().startswith(b"TOY 48 40\n")
    assert_array_equal(read(tmp_path / "toy" / "photo.toy").pixels, read(tmp_path / "png" / "photo.png").pixels)
    assert images_in(source) == [source / "photo.toy"]
    with pytest.raises(ImageError, match="damaged: its Toy data can't be decoded"):
        read(b"TOY 48 40\n")
    with pytest.raises(ImageError, match="48 x 40 pixels, more than"):
        read(source / "photo.toy", max_megapixels=0.001)

    # An encoder gets what its format holds.
    deep = DecodedImage(noise(4, 5, 3, dtype=np.uint16), noise(4, 5, dtype=np.uint16), icc=b"profile")
    assert encode(deep, ".TOY").startswith(b"TOY 5 4\n")
    with pytest.raises(ImageError, match=r"1 channels can't be written as \.toy; use \.tif or \.npy"):
        encode(DecodedImage(noise(4, 5, 1)), ".toy")


@pytest.mark.parametrize(("name", "suffixes"), [("PNG", (".new",)), ("New", (".new", ".jpeg"))])
def test_a_name_or_suffix_that_is_taken_is_refused(name, suffixes):
    with pytest.raises(UsageError, match="there already is an image format"):
        formats.register(formats.ImageFormat(name, suffixes, b"NEW", formats.decode_bmp))


def test_the_help_names_every_format(capsys):
    assert main(["translate", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"\b{known.suffixes[0][1:]}\b", said) for known in formats.writable_formats())


@pytest.mark.parametrize("known", formats.writable_formats(), ids=lambda known: known.name)
def test_a_format_holds_what_the_table_says(known):
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    place = ((34737, 2, 9, "WGS 84 |"),)
    kept = {"icc": b"profile" * 20, "exif": tags.tobytes(), "dpi": (300.0, 150.0), "geo": place}
    for channels in known.channels or (1, 2, 3, 4, 5, 13):
        for depth in known.depths:
            has_alpha = known.alpha and channels in known.channels if known.channels and channels in (2, 4) else False
            pixels = noise(5, 7, channels - has_alpha, dtype=depth)
            alpha = noise(5, 7, dtype=depth, seed=1) if has_alpha else None
            again = read(encode(DecodedImage(pixels, alpha, **kept), known.suffixes[0]))
            assert again.pixels.dtype == depth
            assert (again.alpha is not None) == has_alpha
            assert {name for name in kept if getattr(again, name)} == known.metadata
            if known.name not in ("JPEG", "WebP"):  # there is no grey WebP
                assert_array_equal(again.pixels, pixels)
