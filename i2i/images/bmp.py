"""BMP files: decoding and encoding."""

from __future__ import annotations

from i2i.images.decoded import DecodedImage
from i2i.images.pillow import encode_pillow, from_pil, open_pillow


def decode_bmp(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode a BMP; see `i2i.images.formats.Decode`."""
    return from_pil(open_pillow(data, "BMP", max_pixels=max_pixels), frames=1)


def encode_bmp(image: DecodedImage, *, quality: int) -> bytes:  # noqa: ARG001
    """Encode 8-bit grey or RGB; see `i2i.images.formats.Encode`."""
    return encode_pillow(image.pixels, "BMP", image)
