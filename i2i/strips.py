"""The strips and tiles of a TIFF page, unpacked one by one, each no further than the page says that it goes.

Source: TIFF revision 6.0 (sections 9, 13, 14 and 15) and Adobe Photoshop TIFF Technical Notes 2 and 3.
"""

from __future__ import annotations

import importlib.util
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.errors import ImageError
from i2i.formats import TRUNCATED, check_size
from i2i.jpeg import check_jpeg
from i2i.lzw import LzwError, unpack_lzw

_NONE, _LZW, _JPEG, _PACKBITS, _LZMA = 1, 5, 7, 32773, 34925
_DEFLATE = (8, 32946)
_READABLE = {_NONE, _LZW, _JPEG, _PACKBITS, _LZMA, *_DEFLATE}
_YCBCR, _RGB = 6, 2
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Part(NamedTuple):
    """A strip or tile: its bytes, the plane that it belongs to, and what part of that it covers."""

    data: memoryview
    plane: int
    top: int
    left: int
    rows: int


def page_values(page: Any, data: bytes, *, max_pixels: int) -> NDArray[Any]:
    """The values of a page of a TIFF file as they stand in it, (H, W, C), in the native byte order.

    Values of 2 to 7 bits are given as uint8 and those of 9 to 15 as uint16, unscaled.

    Args:
        page: a `tifffile.TiffPage`.
        data: the file.
        max_pixels: refuse what has more, or takes more bytes, before it is unpacked.

    Raises:
        ImageError: it is truncated or damaged, too large, or of a kind that can't be read.
    """
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if height < 1 or width < 1 or samples < 1:
        raise ImageError(f"damaged: its header says {width} x {height} pixels of {samples} channels")
    dtype = _dtype(page)
    check_size(width, height, max_pixels, pixel_bytes=samples * dtype.itemsize)
    planes, each = (samples, 1) if page.planarconfig == 2 and samples > 1 else (1, samples)
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    if rows < 1 or columns < 1:
        raise ImageError(f"damaged: its header says tiles of {columns} x {rows} pixels")
    check_size(columns, rows, max_pixels, pixel_bytes=each * dtype.itemsize)
    if page.compression not in _READABLE:
        return _by_tifffile(page, height, width)
    result = np.zeros((height, width, planes, each), dtype)
    for part in _parts(page, data, planes, rows, columns):
        values = _values(part, page, dtype, rows, columns, each)
        cut = result[part.top : part.top + rows, part.left : part.left + columns, part.plane]
        cut[...] = values[: cut.shape[0], : cut.shape[1]]
    return result.reshape(height, width, samples)


def _dtype(page: Any) -> np.dtype[Any]:
    bits, kind = page.bitspersample, {1: "u", 2: "i", 3: "f", 4: "u"}.get(page.sampleformat, "")
    if not isinstance(bits, int) or not kind or not (bits in (8, 16, 32, 64) or (kind == "u" and 1 <= bits < 16)):
        raise ImageError(f"channels of {bits} bit, sample format {page.sampleformat}, can't be read; save it as 16 bit")
    if kind == "f" and bits == 8:
        raise ImageError("floats of 8 bit can't be read; save it as 32-bit float")
    return np.dtype(f"{kind}{(bits + 7) // 8}")


def _parts(page: Any, data: bytes, planes: int, rows: int, columns: int) -> Iterator[_Part]:
    view, offsets, counts = memoryview(data), page.dataoffsets, page.databytecounts
    down, across = -(-page.imagelength // rows), -(-page.imagewidth // columns)
    if min(len(offsets), len(counts)) < planes * down * across:
        raise ImageError(f"damaged: it lists {len(offsets)} strips or tiles where {planes * down * across} are needed")
    for index in range(planes * down * across):
        plane, place = divmod(index, down * across)
        top, left = place // across * rows, place % across * columns
        offset, count = offsets[index], counts[index]
        if offset == 0 and count == 0:  # a sparse file leaves out what is black
            continue
        if offset < 0 or count < 0 or offset + count > len(data):
            raise ImageError(TRUNCATED)
        needed = rows if page.is_tiled else min(rows, page.imagelength - top)
        yield _Part(view[offset : offset + count], plane, top, left, needed)


def _values(part: _Part, page: Any, dtype: np.dtype[Any], rows: int, columns: int, each: int) -> NDArray[Any]:
    """The values of a strip or tile, (rows, columns, each)."""
    if page.compression == _JPEG:
        return _jpeg(part, page, rows, columns, each)
    row_bytes = -(-columns * each * page.bitspersample // 8)
    raw = _unpacked(part.data, page, rows * row_bytes)
    if len(raw) < part.rows * row_bytes:
        raise ImageError(TRUNCATED if page.compression == _NONE else "damaged: one of its strips or tiles is too short")
    raw = raw[: part.rows * row_bytes]
    if page.predictor == 3 and dtype.kind == "f":
        return _from_float_differences(raw, part.rows, columns, each, dtype)
    values = _samples(raw, page, dtype, (part.rows, columns, each))
    if page.predictor == 2 and dtype.kind in "ui" and page.bitspersample == 8 * dtype.itemsize:
        return np.cumsum(values, axis=1, dtype=dtype)
    if page.predictor != 1:
        raise ImageError(f"predictor {int(page.predictor)} of {page.bitspersample} bit can't be read; save it without")
    return values


def _unpacked(part: memoryview, page: Any, size: int) -> bytes:
    """What a strip or tile holds, at most `size` bytes."""
    compression = page.compression
    packed: bytes | memoryview = part[: size if compression == _NONE else 2 * size + 4096]
    if page.fillorder == 2:
        packed = bytes(packed).translate(_REVERSED)
    if compression == _NONE:
        return bytes(packed)
    if compression == _PACKBITS:
        return _unpack_bits(bytes(packed), size)
    try:
        if compression == _LZW:
            return unpack_lzw(packed, size)
        if compression == _LZMA:
            return lzma.LZMADecompressor().decompress(packed, size)
        stream = zlib.decompressobj()
        raw = stream.decompress(packed, size)
        more = stream.decompress(stream.unconsumed_tail, 1) if not stream.eof else b""
    except LzwError as error:
        raise ImageError(f"damaged: {error}") from None
    except (zlib.error, lzma.LZMAError) as error:
        wrong = "the checksum of its pixels is wrong" if "data check" in str(error) else "its pixels can't be unpacked"
        raise ImageError(f"damaged: {wrong}") from None
    if more:
        raise ImageError("damaged: one of its strips or tiles holds more than its header says")
    if not stream.eof:
        raise ImageError(TRUNCATED)
    return raw


def _unpack_bits(packed: bytes, size: int) -> bytes:
    out, at = bytearray(), 0
    while at < len(packed) and len(out) < size:
        count = packed[at]
        if count < 128:
            out += packed[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            out += packed[at + 1 : at + 2] * (257 - count) if count > 128 else b""
            at += 2 if count > 128 else 1
    return bytes(out[:size])


def _samples(raw: bytes, page: Any, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    bits = page.bitspersample
    if bits == 8 * dtype.itemsize:
        stored = np.frombuffer(raw, dtype.newbyteorder(page.parent.byteorder))
        return stored.astype(dtype, copy=False).reshape(shape)
    rows, columns, each = shape
    single = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, -1), axis=1, count=columns * each * bits)
    single = single.reshape(*shape, bits)
    values = np.zeros(shape, dtype)
    for place in range(bits):
        values = (values << 1) | single[..., place]
    return values


def _from_float_differences(raw: bytes, rows: int, columns: int, each: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Floats whose bytes, the highest of all first, were written as differences (Technical Note 3)."""
    levels = np.frombuffer(raw, np.uint8).reshape(rows, -1, each)
    levels = np.cumsum(levels, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * each)
    values = np.ascontiguousarray(levels.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
    return values.reshape(rows, columns, each).astype(dtype)


def _jpeg(part: _Part, page: Any, rows: int, columns: int, each: int) -> NDArray[Any]:
    """A strip or tile that is a JPEG, whose tables the page may hold for all of them (Technical Note 2)."""
    data, tables = bytes(part.data), page.jpegtables
    if data[:2] != b"\xff\xd8" or page.bitspersample != 8 or page.predictor != 1:
        raise ImageError("damaged: one of its strips or tiles is no JPEG")
    # Which says whether colours are YCbCr; else a decoder would guess.
    colours = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([page.photometric == _YCBCR]) if each == 3 else b""
    data = b"\xff\xd8" + colours + (tables[2:-2] if tables else b"") + data[2:]
    wide, high = check_jpeg(data, max_pixels=rows * columns)
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        values = np.asarray(image)
    values = values[..., None] if values.ndim == 2 else values
    values = 255 - values if each == 4 else values  # Pillow takes inks for inverted, as Photoshop's JPEGs have them
    if wide < columns or high < part.rows or values.shape[-1] != each:
        raise ImageError(
            f"damaged: one of its strips or tiles is {wide} x {high} pixels of {values.shape[-1]} channels where "
            f"{columns} x {part.rows} of {each} are needed"
        )
    return values


def _by_tifffile(page: Any, height: int, width: int) -> NDArray[Any]:
    """What i2i can't unpack itself; `imagecodecs` must be there."""
    name = getattr(page.compression, "name", f"number {page.compression}").lower()
    if importlib.util.find_spec("imagecodecs") is None:
        raise ImageError(
            f"its compression ({name}) needs another package; pip install imagecodecs, or save it with deflate"
        )
    try:
        values = page.asarray()
    except Exception:
        raise ImageError(f"damaged: its pixels ({name}) can't be unpacked") from None
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        values = np.moveaxis(values, 0, -1)
    return np.asarray(values).reshape(height, width, -1)
