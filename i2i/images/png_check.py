"""Full check of PNG files: structure, checksums, and the number of their pixels, before a decoder sees them.

Source: Portable Network Graphics (PNG) Specification, W3C 2003; section numbers are its own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED
from i2i.images.limits import check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (section 11.2.2)
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7
_MAX_CHUNKS = 1_000_000
_MAX_PROFILE = 16 * 2**20  # bytes of a colour profile; a larger one is left out
_MAX_TEXT = 2**20
_MAX_CHUNK = 2**30


class CheckedPng(NamedTuple):
    """A PNG whose checksums were right, rebuilt of what decoding needs, its pixels uncompressed.

    Attributes:
        data: the file: header, palette, EXIF, resolution, and pixels; well-formed, so that decoders have no complaints.
        depth: bits per channel.
        colour: the colour type (section 11.2.2).
        transparent: the pixel, 1 or 3 values, that is fully transparent in an image without alpha, or None.
        icc: its colour profile, or None.
        frames: images in it, more than one in an animation.
    """

    data: bytes
    depth: int
    colour: int
    transparent: tuple[int, ...] | None
    icc: bytes | None
    frames: int


def check_png(data: bytes, *, max_pixels: int) -> CheckedPng:
    """Check every chunk's CRC-32, the pixels' Adler-32 and their number; PNG decoders skip most of these checks.

    Raises:
        ImageError: it is truncated or damaged, or has more pixels or bytes than allowed.
    """
    first: dict[bytes, bytes] = {}
    pixels: list[memoryview] = []
    text = b""
    header: tuple[int, ...] = ()
    frames = 1
    for kind, body in _chunks(data):
        if not header:
            header = _header(kind, body, max_pixels)
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"acTL" and len(body) == 8 and not pixels:
            frames = max(1, min(int.from_bytes(body[:4], "big"), 2**31 - 1))
        elif kind in (b"tEXt", b"zTXt") and bytes(body[:21]) == b"Raw profile type exif" and len(body) < _MAX_TEXT:
            text = chunk(kind, bytes(body))
        elif kind == b"fcTL" and pixels and b"fcTL" not in first and frames > 1:
            frames += 1  # the image before the animation isn't one of its frames
        if kind not in (b"IDAT", b"fdAT"):
            first.setdefault(kind, bytes(body))
    width, height, depth, colour, *_, interlaced = header
    palette = first.get(b"PLTE", b"")
    if colour == 3 and (not palette or len(palette) % 3 or len(palette) > 768):
        raise ImageError("damaged: its palette is missing or has a fractional number of colours")
    raw = _inflated(pixels, list(_row_counts(width, height, depth * _CHANNELS[colour], interlaced)))
    kept = chunk(b"IHDR", first[b"IHDR"])
    if colour == 3:
        kept += chunk(b"PLTE", palette)
        if b"tRNS" in first:
            kept += chunk(b"tRNS", first[b"tRNS"][: len(palette) // 3])
    kept += chunk(b"pHYs", first[b"pHYs"]) if len(first.get(b"pHYs", b"")) == 9 else b""
    kept += chunk(b"eXIf", first[b"eXIf"]) if b"eXIf" in first else text
    return CheckedPng(
        _stored(kept, raw), depth, colour, _transparent(first.get(b"tRNS"), depth, colour), _profile(first), frames
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(data):
            raise ImageError(TRUNCATED)
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if not kind.isalpha():
            raise ImageError("damaged: a chunk is followed by something else")
        if end > len(data):
            raise ImageError(TRUNCATED)
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ImageError(f"damaged: the checksum of its {kind.decode('ascii')} chunk is wrong")
        yield kind, view[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end
    raise ImageError(f"damaged: it has more than {_MAX_CHUNKS} chunks")


def _header(kind: bytes, body: memoryview, max_pixels: int) -> tuple[int, ...]:
    if kind != b"IHDR" or len(body) != 13:
        raise ImageError("damaged: it does not begin with a header")
    header = struct.unpack(">IIBBBBB", body)
    width, height, depth, colour, compression, filtering, interlaced = header
    if not (width and height and depth in _DEPTHS.get(colour, ()) and compression == filtering == 0) or interlaced > 1:
        raise ImageError(
            f"damaged: its header says {width} x {height} pixels of {depth} bit, colour type {colour}, compression "
            f"{compression}, filters {filtering}, interlacing {interlaced}, which no PNG has"
        )
    check_size(width, height, max_pixels, pixel_bytes=max(1, depth * _CHANNELS[colour] / 8))
    return header


def _row_counts(width: int, height: int, bits: int, interlaced: int) -> Iterator[tuple[int, int]]:
    """Rows of each pass and the bytes of each, with the byte that names its filter (sections 8.2 and 9.1)."""
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            yield rows, 1 + -(-columns * bits // 8)


def _inflated(pixels: list[memoryview], passes: list[tuple[int, int]]) -> bytes:
    size = sum(rows * length for rows, length in passes)
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(b"".join(pixels), size)
        more = stream.decompress(stream.unconsumed_tail, 1) if len(raw) == size and not stream.eof else b""
    except zlib.error as error:
        wrong = "the checksum of its pixels is wrong" if "data check" in str(error) else "its pixels can't be unpacked"
        raise ImageError(f"damaged: {wrong}") from None
    if more:
        raise ImageError("damaged: it holds more pixels than its header says")
    if not stream.eof:
        raise ImageError(TRUNCATED)
    if len(raw) < size:
        raise ImageError("damaged: it holds fewer pixels than its header says")
    filters, at = np.frombuffer(raw, np.uint8), 0
    for rows, length in passes:
        if filters[at : at + rows * length : length].max() > 4:
            raise ImageError("damaged: a row of it has an unknown filter")
        at += rows * length
    return raw


def _stored(kept: bytes, raw: bytes) -> bytes:
    pixels = memoryview(zlib.compress(raw, 0))  # copied, not compressed, so that decoding takes no longer than before
    parts: list[bytes | memoryview] = [SIGNATURE, kept]
    for at in range(0, len(pixels), _MAX_CHUNK):
        body = pixels[at : at + _MAX_CHUNK]
        check = zlib.crc32(body, zlib.crc32(b"IDAT"))
        parts += [struct.pack(">I", len(body)), b"IDAT", body, struct.pack(">I", check)]
    return b"".join([*parts, chunk(b"IEND", b"")])


def _transparent(body: bytes | None, depth: int, colour: int) -> tuple[int, ...] | None:
    if body is None or colour not in (0, 2) or len(body) != 2 * _CHANNELS[colour]:
        return None
    return tuple(level & (2**depth - 1) for level in struct.unpack(f">{_CHANNELS[colour]}H", body))


def _profile(first: dict[bytes, bytes]) -> bytes | None:
    _, _, packed = first.get(b"iCCP", b"").partition(b"\0")
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(packed[1:], _MAX_PROFILE)
    except zlib.error:
        return None
    return profile if stream.eof and profile else None


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG file: length, type, data and checksum (section 5.3)."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
