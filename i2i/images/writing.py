"""Images written to files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from i2i.errors import ImageError, UsageError
from i2i.files import write_whole
from i2i.images.decoded import DecodedImage, all_channels, as_depth, to_pil
from i2i.images.reading import SUFFIXES, SUFFIXES_IN_WORDS
from i2i.images.tiff import encode_tiff

JPEG_QUALITY = 95


def write(image: DecodedImage, path: Path, *, quality: int = JPEG_QUALITY) -> None:
    """Write an image as its suffix says, whole or not at all; see `encode`.

    Raises:
        UsageError: the suffix is none of an image.
        ImageError: the format has no place for such an image.
        OSError: it can't be written there.
    """
    write_whole(path, encode(image, path.suffix, quality=quality))


def encode(image: DecodedImage, suffix: str, *, quality: int = JPEG_QUALITY) -> bytes:
    """The bytes of an image in the format that a suffix such as `.png` names, without loss but for JPEG.

    PNG, TIFF and .npy hold 8 and 16 bit, TIFF and .npy floats and any number of channels too; depth that a format
    lacks is rounded to the deepest that it has. JPEG, in full colour resolution, and BMP have no alpha.

    Args:
        image: what to write.
        suffix: the format.
        quality: of JPEG, 1 to 100.

    Raises:
        UsageError: the suffix is none of an image.
        ImageError: the format has no place for so many channels or pixels.
    """
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"can't write images as {suffix or 'a file without a suffix'!r}; use one of {SUFFIXES_IN_WORDS}"
        )
    whole = all_channels(image)
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, whole)
        return buffer.getvalue()
    if suffix in (".tif", ".tiff"):
        has_alpha = image.alpha is not None
        return encode_tiff(whole, has_alpha=has_alpha, icc=image.icc, dpi=image.dpi, geo=image.geo)
    channels = whole.shape[-1]
    flat = suffix in (".jpg", ".jpeg", ".bmp")
    if channels > 4 or (flat and image.alpha is None and channels in (2, 4)):  # the last is no alpha to leave out
        raise ImageError(f"{channels} channels can't be written as {suffix}; use --format tif or --format npy")
    deep = suffix == ".png" and whole.dtype != np.uint8
    whole = as_depth(whole, np.dtype(np.uint16 if deep else np.uint8))
    if flat and channels in (2, 4):
        whole = whole[..., :-1]
    if deep and channels > 1:
        return _encode_deep_png(image, whole)
    options: dict[str, Any] = {"icc_profile": image.icc, "exif": image.exif, "dpi": image.dpi}
    options = {name: value for name, value in options.items() if value}
    if suffix in (".jpg", ".jpeg"):
        options |= {"quality": quality, "subsampling": 0}
        if len(options.get("exif", b"")) > _JPEG_SEGMENT:
            del options["exif"]
    elif suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    try:
        to_pil(DecodedImage(np.ascontiguousarray(whole))).save(buffer, Image.registered_extensions()[suffix], **options)
    except (ValueError, OSError, SystemError, struct.error) as error:  # such as more pixels than WebP has place for
        high, wide = whole.shape[:2]
        raise ImageError(f"{wide} x {high} pixels can't be written as {suffix}: {error}; use --format png") from None
    return buffer.getvalue()


_JPEG_SEGMENT = 65_533


def _encode_deep_png(image: DecodedImage, whole: Any) -> bytes:
    """16-bit colour by OpenCV, grey with alpha as it can't; what goes with it as chunks of our own."""
    if whole.shape[-1] == 2:
        data = _encode_deep_grey(whole)
    else:
        done, encoded = cv2.imencode(".png", np.ascontiguousarray(whole[..., [2, 1, 0, 3][: whole.shape[-1]]]))
        assert done
        data = encoded.tobytes()
    chunks = b""
    if image.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(image.icc))
    if image.dpi:
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *(round(dots / 0.0254) for dots in image.dpi), 1))
    if image.exif:
        chunks += _chunk(b"eXIf", image.exif.removeprefix(b"Exif\0\0"))
    return data[:33] + chunks + data[33:]  # the header ends at byte 33 (PNG specification, 11.2.2)


def _encode_deep_grey(whole: Any) -> bytes:
    """16-bit grey with alpha, each row as its difference from the one above (PNG specification, 9.2, type 2)."""
    high, wide, _ = whole.shape
    rows = np.ascontiguousarray(whole, ">u2").view(np.uint8).reshape(high, -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.insert(rows - above, 0, 2, axis=1)
    header = struct.pack(">IIBBBBB", wide, high, 16, 4, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
