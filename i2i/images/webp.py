"""WebP files: decoding, and encoding without loss."""

from __future__ import annotations

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED, DecodedImage, all_channels
from i2i.images.limits import check_size
from i2i.images.pillow import encode_pillow, from_pil, open_pillow


def decode_webp(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode a WebP, or the first image of an animation; see `i2i.images.formats.Decode`."""
    if len(data) < int.from_bytes(data[4:8], "little") + 8 or len(data) < 30:
        raise ImageError(TRUNCATED)
    if data[12:16] == b"VP8X":  # else a side has at most 16384 pixels
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        check_size(width, height, max_pixels, pixel_bytes=4)
    return from_pil(open_pillow(data, "WEBP", max_pixels=max_pixels))


def encode_webp(image: DecodedImage, *, quality: int) -> bytes:  # noqa: ARG001
    """Encode 8-bit RGB with or without alpha; see `i2i.images.formats.Encode`."""
    return encode_pillow(all_channels(image), "WEBP", image, lossless=True, exact=True)
