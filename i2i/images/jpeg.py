"""JPEG files: checked by their markers (whole, decodable, not larger than allowed), decoding and encoding.

Source: ITU-T T.81, annex B. Entropy-coded data carries no checksum; what lies between markers can't be checked.
"""

from __future__ import annotations

import re
from dataclasses import replace

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED, DecodedImage
from i2i.images.limits import check_size
from i2i.images.pillow import encode_pillow, from_pil, open_pillow

_MAX_SCANS = 100  # each is a pass over the whole image; encoders write about 10
_SEGMENT = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # Huffman and arithmetic, sequential and progressive
_SCAN, _END, _RESTART = 0xDA, 0xD9, range(0xD0, 0xD8)

_MAX_SEGMENT = 65_533  # bytes


def decode_jpeg(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode a JPEG; see `i2i.images.formats.Decode`."""
    check_jpeg(data, max_pixels=max_pixels)
    return from_pil(open_pillow(data, "JPEG", max_pixels=max_pixels), frames=1)


def encode_jpeg(image: DecodedImage, *, quality: int) -> bytes:
    """Encode 8-bit grey or RGB in full colour resolution; see `i2i.images.formats.Encode`."""
    if image.exif and len(image.exif) > _MAX_SEGMENT:
        image = replace(image, exif=None)
    return encode_pillow(image.pixels, "JPEG", image, quality=quality, subsampling=0)


def check_jpeg(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Walk over the markers of a JPEG up to its end; give its width and height.

    Raises:
        ImageError: it is truncated or damaged, of a kind that can't be decoded, or has more pixels than allowed.
    """
    at, size, scans = 2, None, 0
    while True:
        found = _SEGMENT.match(data, at)
        if found is None:
            raise ImageError(TRUNCATED if len(data) < at + 2 else "damaged: a segment is followed by something else")
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        if at + max(length, 2) > len(data):
            raise ImageError(TRUNCATED)
        if length < 2 or marker in _RESTART or marker in (0x01, 0xD8):
            raise ImageError("damaged: one of its segments has no length")
        if marker in _FRAMES and size is None:
            size = _frame_size(marker, data[at : at + length], max_pixels)
        at += length
        if marker == _SCAN:
            scans += 1
            if scans > _MAX_SCANS:
                raise ImageError(f"damaged: it has more than {_MAX_SCANS} scans")
            at = _scan_end(data, at)
    if size is None or not scans:
        raise ImageError("damaged: it holds no image")
    return size


def _frame_size(marker: int, body: bytes, max_pixels: int) -> tuple[int, int]:
    if len(body) < 8:
        raise ImageError("damaged: its header is too short")
    bits, height, width, channels = body[2], int.from_bytes(body[3:5], "big"), int.from_bytes(body[5:7], "big"), body[7]
    if marker not in _DECODABLE or bits != 8:
        raise ImageError(f"a JPEG of a kind that can't be read ({bits} bit, process {marker - 0xC0}); save it again")
    if not width or not height or channels not in (1, 3, 4):
        raise ImageError(f"damaged: its header says {width} x {height} pixels of {channels} channels")
    check_size(width, height, max_pixels, pixel_bytes=channels)
    return width, height


def _scan_end(data: bytes, at: int) -> int:
    """Where the entropy-coded data of a scan ends; its restart markers count from 0 to 7 over and over."""
    for restarts, found in enumerate(_MARKER.finditer(data, at)):
        if found[1][0] not in _RESTART:
            return found.start()
        if found[1][0] != 0xD0 + restarts % 8:
            raise ImageError("damaged: a part of it is missing or out of order")
    raise ImageError(TRUNCATED)
