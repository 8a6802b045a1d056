"""JPEG and GIF files that are not whole."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from i2i.errors import ImageError
from i2i.images.reading import read
from support.images import noise

SMOOTH = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)


def jpeg(**options):
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).convert("RGB").save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}], ids=str)
def test_a_jpeg_truncated_anywhere_is_refused(options):
    data = jpeg(**options)
    assert read(data).pixels.shape == (64, 96, 3)
    for length in range(2, len(data), 11):
        with pytest.raises(ImageError):
            read(data[:length])


def test_a_lost_part_between_restart_markers_is_refused():
    data = jpeg(restart_marker_blocks=3)
    first, second = data.index(b"\xff\xd1"), data.index(b"\xff\xd2")
    with pytest.raises(ImageError, match="damaged: a part of it is missing or out of order"):
        read(data[:first] + data[second:])


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded():
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="damaged: it has more than 100 scans"):
        read(data[:last] + 5000 * data[last:-2] + b"\xff\xd9")


def test_bytes_after_the_end_are_ignored():
    assert_array_equal(read(jpeg() + noise(1000).tobytes()).pixels, read(jpeg()).pixels)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xCB])
def test_an_unsupported_jpeg_process_is_named(marker):
    data = bytearray(jpeg())
    data[data.index(b"\xff\xc0") + 1] = marker
    with pytest.raises(ImageError, match=rf"a JPEG of a kind that can't be read \(8 bit, process {marker - 0xC0}\)"):
        read(bytes(data))


def test_damaged_exif_of_a_jpeg_hides_no_pixels():
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Maker", "Model"
    data = bytearray(jpeg(exif=tags))
    good, start = read(bytes(data)).pixels, data.index(b"Exif")
    for at in range(start, start + 56):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        assert_array_equal(read(bytes(damaged)).pixels, good, strict=True)


def test_a_gif_is_refused_only_where_its_first_image_is_truncated():
    buffer, frames = io.BytesIO(), [Image.fromarray(noise(20, 30, seed=n)) for n in range(3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    data = buffer.getvalue()
    images = [at for at in range(len(data)) if data[at : at + 9] == b"," + bytes(4) + b"\x1e\0\x14\0"]
    assert read(data).frames == len(images) == 3
    for length in range(13, images[1] - 20, 7):
        with pytest.raises(ImageError):
            read(data[:length])
    assert read(data[: images[1] + 30]).frames == 1
    assert read(data[: images[2] + 30]).frames == 2
