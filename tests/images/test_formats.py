"""Files named for what they are, and refused before they are read where they are too large."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from i2i.errors import ImageError
from i2i.images.formats import check_size, max_file_bytes
from i2i.images.reading import read

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
def test_what_is_no_image_that_can_be_read_is_named_for_what_it_is(tmp_path, data, name):
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
        ImageError, match=r"^1000 x 1000 pixels of 9 bytes are 9 MB, more than the 8 MB .*megapixels 2$"
    ):
        check_size(1000, 1000, 1_000_000, pixel_bytes=9)
    # With the number that it says.
    check_size(1000, 1000, 2_000_000, pixel_bytes=9)


@pytest.mark.parametrize("start", [b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff", b"BM"])
def test_a_huge_file_is_refused_without_being_read(tmp_path, start):
    path = tmp_path / "sparse.png"
    path.write_bytes(start)
    os.truncate(path, 40 * 10**9)  # of which the disk holds nothing
    reason = "a file of 40000 MB, more than the 1491 MB.*--max-megapixels 4992" if start else "not an image that can be"
    with pytest.raises(ImageError, match=reason):
        read(path)


def test_a_file_may_be_as_large_as_is_said(tmp_path):
    path, pixels = tmp_path / "x.bmp", np.zeros((4, 4, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    os.truncate(path, max_file_bytes(16))
    assert (read(path, max_pixels=16).pixels == 0).all()
    os.truncate(path, max_file_bytes(16) + 1)
    with pytest.raises(ImageError, match="a file of 67 MB"):
        read(path, max_pixels=16)


def test_an_endless_file_is_refused():
    with pytest.raises(ImageError, match="not an image that can be read"):
        read("/dev/zero")
