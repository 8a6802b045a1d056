from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image

from i2i.data.layout import Source
from i2i.errors import UsageError
from i2i.images.reading import read
from support.folders import find


# Width and height are exchanged by orientations 5 to 8.
@pytest.mark.parametrize(
    ("suffix", "options", "orientation"),
    [
        *(("jpg", {}, orientation) for orientation in range(1, 9)),
        *((suffix, {}, orientation) for suffix in ("png", "webp", "tif") for orientation in (1, 3, 6)),
        ("tif", {"compression": "tiff_lzw"}, 1),
        ("tif", {"compression": "tiff_lzw"}, 8),
    ],
)
def test_exif_orientation_is_applied_to_sizes(tmp_path, suffix, options, orientation):
    turned = orientation >= 5
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, size in (("pair", (4, 8) if turned else (8, 4)), ("no pair", (8, 4) if turned else (4, 8))):
        folder = tmp_path / name / "train"
        folder.mkdir(parents=True)
        Image.new("RGB", size).save(folder / f"1.{suffix}", exif=exif, **options)
    assert read(tmp_path / f"pair/train/1.{suffix}").pixels.shape[:2] == (4, 8)
    assert len(find(tmp_path / "pair").train.a) == 1
    with pytest.raises(UsageError, match="is 4 x 8 pixels: not two images side by side"):
        find(tmp_path / "no pair")


def test_the_orientation_of_a_png_may_come_after_its_pixels(tmp_path):
    Image.new("RGB", (4, 8)).save(tmp_path / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = (tmp_path / "1.png").read_bytes()
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = len(data).to_bytes(4, "big") + b"eXIf" + data + zlib.crc32(b"eXIf" + data).to_bytes(4, "big")
    (tmp_path / "1.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    assert read(tmp_path / "1.png").pixels.shape[:2] == (4, 8)
    assert len(find(tmp_path).train.a) == 1


def test_arrays_may_be_side_by_side(tmp_path):
    np.save(tmp_path / "1.npy", np.zeros((4, 8, 5), np.uint8))
    assert find(tmp_path).train.b == (Source(tmp_path / "1.npy", "right"),)
    np.save(tmp_path / "2.npy", np.zeros((4, 7, 5), np.uint8))
    with pytest.raises(UsageError, match=r"2\.npy is 7 x 4 pixels"):
        find(tmp_path)
