"""The size of an image as it is seen, from its header."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from i2i.images.reading import read

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # tags of TIFF, the last of EXIF too
_TURNED = (5, 6, 7, 8)  # orientations with rows and columns exchanged (EXIF 2.3, 4.6.4)
_TEXT = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # chunks of PNG that may hold EXIF


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file in pixels, EXIF orientation applied; as a rule no pixel is decoded.

    Raises:
        ImageError: it can't be read.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            if image.format != "TIFF" or getattr(image, "n_frames", 1) == 1:  # its pages may differ in size
                width, height, orientation = _header(image, file)
                return (height, width) if orientation in _TURNED else (width, height)
    except Exception:  # Pillow raises all kinds of errors on damaged headers, and can't open .npy
        pass
    height, width = read(path).pixels.shape[:2]
    return width, height


def _header(image: Image.Image, file: BinaryIO) -> tuple[int, int, int | None]:
    """Width and height as stored, and the orientation."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # whose `size` is turned already, in some versions of Pillow
        tags = image.tag_v2
        return tags[_WIDTH], tags[_HEIGHT], tags.get(_ORIENTATION)
    if image.format == "PNG" and not _has_late_text(file):
        # Pillow would decode all pixels of a PNG without EXIF, to look for it behind them.
        return *image.size, Image.Image.getexif(image).get(_ORIENTATION)
    return *image.size, image.getexif().get(_ORIENTATION)


def _has_late_text(file: BinaryIO) -> bool:
    """Whether chunks that may hold EXIF come after the pixels of a PNG."""
    after_pixels = False
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        after_pixels |= kind == b"IDAT"
        if after_pixels and kind in _TEXT:
            return True
        file.seek(length + 4, 1)
    return False
