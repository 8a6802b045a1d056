"""The image formats that i2i reads and writes: one table that reading, writing and the command line share.

A new format is one entry here, or `register(ImageFormat(...))` in a plug-in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from i2i.errors import ImageError, UsageError
from i2i.images.bmp import decode_bmp, encode_bmp
from i2i.images.decoded import DecodedImage
from i2i.images.gif import decode_gif
from i2i.images.jpeg import decode_jpeg, encode_jpeg
from i2i.images.npy import decode_npy, encode_npy
from i2i.images.png import decode_png, encode_png
from i2i.images.tiff import decode_tiff, encode_tiff
from i2i.images.unreadable import content_name
from i2i.images.webp import decode_webp, encode_webp

HEAD = 512  # bytes by which a format is recognised

Metadata: TypeAlias = Literal["icc", "exif", "dpi", "geo"]  # fields of DecodedImage


class Decode(Protocol):
    """Decodes the bytes of a file: EXIF orientation applied, palettes and CMYK turned into RGB.

    It raises ImageError for what is truncated, damaged or too large, before it takes the memory of a decoded image;
    any other exception is reported as damage.
    """

    def __call__(self, data: bytes, /, *, max_pixels: int) -> DecodedImage: ...


class Encode(Protocol):
    """Encodes an image, which has only what the format holds; `quality` is of formats with loss, 1 to 100."""

    def __call__(self, image: DecodedImage, /, *, quality: int) -> bytes: ...


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes:
        name: as shown in messages.
        suffixes: in lower case; the first one names the format.
        magic: a regular expression for the first bytes of a file, of `HEAD` bytes at most.
        decode: bytes to image.
        encode: image to bytes, or None where it is only read.
        depths: what it holds, the deepest last, to which an image of any other depth is converted.
        channels: how many it holds, alpha included; None for any number.
        alpha: whether it holds alpha, which is left out otherwise.
        metadata: what it holds beside pixels; the rest is left out.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    decode: Decode
    encode: Encode | None = None
    depths: tuple[type[np.generic], ...] = (np.uint8,)
    channels: frozenset[int] | None = frozenset({1, 3})
    alpha: bool = False
    metadata: frozenset[Metadata] = frozenset()


_FORMATS: dict[str, ImageFormat] = {}


def register(image_format: ImageFormat) -> None:
    """Add a format, which is then read and written wherever an image is.

    Raises:
        UsageError: a format of this name or suffix is there already.
    """
    for known in _FORMATS.values():
        taken = {known.name, *known.suffixes}.intersection({image_format.name, *image_format.suffixes})
        if taken:
            raise UsageError(f"there already is an image format {min(taken)!r}")
    _FORMATS[image_format.name] = image_format


def format_of(head: bytes) -> ImageFormat:
    """Return the format of a file by its first `HEAD` bytes.

    Raises:
        ImageError: it is empty or no image that i2i reads; the message names what it is, where that can be told.
    """
    if not head:
        raise ImageError("an empty file")
    for image_format in _FORMATS.values():
        if re.match(image_format.magic, head, re.DOTALL):
            return image_format
    name = content_name(head)
    raise ImageError(f"not an image that can be read{name and f': {name}'}")


def writable_formats() -> list[ImageFormat]:
    """Return the formats that can be written, in the order of the table."""
    return [image_format for image_format in _FORMATS.values() if image_format.encode]


def writable_suffixes() -> dict[str, ImageFormat]:
    """Return the formats that can be written by their suffixes, such as ".png"."""
    return {suffix: image_format for image_format in writable_formats() for suffix in image_format.suffixes}


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of image files, such as ".png"."""
    return frozenset(suffix for image_format in _FORMATS.values() for suffix in image_format.suffixes)


def suffixes_in_words() -> str:
    """Return the suffixes that can be read and written, for messages."""
    return " ".join(sorted(writable_suffixes()))


_UP_TO_16_BIT: tuple[type[Any], ...] = (np.uint8, np.uint16)
_UP_TO_FLOAT: tuple[type[Any], ...] = (np.uint8, np.uint16, np.float32)
_GREY_OR_RGB_WITH_ALPHA = frozenset({1, 2, 3, 4})

register(
    ImageFormat(
        "PNG",
        (".png",),
        rb"\x89PNG\r\n\x1a\n",
        decode_png,
        encode_png,
        depths=_UP_TO_16_BIT,
        channels=_GREY_OR_RGB_WITH_ALPHA,
        alpha=True,
        metadata=frozenset({"icc", "exif", "dpi"}),
    )
)
register(
    ImageFormat(
        "JPEG",
        (".jpg", ".jpeg"),
        rb"\xff\xd8\xff",
        decode_jpeg,
        encode_jpeg,
        metadata=frozenset({"icc", "exif", "dpi"}),
    )
)
register(
    ImageFormat(
        "WebP",
        (".webp",),
        rb"RIFF....WEBP",
        decode_webp,
        encode_webp,
        channels=_GREY_OR_RGB_WITH_ALPHA,
        alpha=True,
        metadata=frozenset({"icc", "exif"}),
    )
)
register(
    ImageFormat(
        "TIFF",
        (".tif", ".tiff"),
        rb"II\*\0(?!....CR)|II\+\0|MM\0[*+]",  # with CR it is a camera's raw image
        decode_tiff,
        encode_tiff,
        depths=_UP_TO_FLOAT,
        channels=None,
        alpha=True,
        metadata=frozenset({"icc", "dpi", "geo"}),
    )
)
register(ImageFormat("BMP", (".bmp",), rb"BM", decode_bmp, encode_bmp, metadata=frozenset({"dpi"})))
register(
    ImageFormat(
        "NumPy array",
        (".npy",),
        rb"\x93NUMPY",
        decode_npy,
        encode_npy,
        depths=_UP_TO_FLOAT,
        channels=None,
        alpha=True,
    )
)
register(ImageFormat("GIF", (".gif",), rb"GIF8[79]a", decode_gif))
