"""The strips and tiles of a TIFF page, decoded by imagecodecs one by one, each no further than the page's header says.

Source: TIFF revision 6.0 (sections 13 to 15) and Adobe Photoshop TIFF Technical Notes 2 and 3.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED
from i2i.images.jpeg import check_jpeg
from i2i.images.limits import check_size

_NONE, _LZW, _JPEG, _PACKBITS, _LZMA = 1, 5, 7, 32773, 34925
_DEFLATE, _ZSTD = (8, 32946), (34926, 50000)
_WEBP, _JPEG_2000 = (34927, 50001), (33005, 34712)
_BYTES = {_NONE, _LZW, _PACKBITS, _LZMA, *_DEFLATE, *_ZSTD}  # decoders that take a limit of bytes
_IMAGES = {_JPEG, *_WEBP, *_JPEG_2000}  # decoders of images that state their own size
_YCBCR = 6


def page_values(page: Any, data: bytes, *, max_pixels: int) -> NDArray[Any]:
    """The values of a page of a TIFF file as they stand in it, (H, W, C), in the native byte order.

    Values of 1 to 7 bits are given as uint8 and those of 9 to 15 as uint16, unscaled.

    Args:
        page: a `tifffile.TiffPage`.
        data: the file.
        max_pixels: refuse what has more, or takes more bytes, before it is decoded.

    Raises:
        ImageError: it is truncated or damaged, too large, or of a kind that can't be read.
        Exception: any other error that a damaged file causes.
    """
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if height < 1 or width < 1 or samples < 1:
        raise ImageError(f"damaged: its header says {width} x {height} pixels of {samples} channels")
    if page.imagedepth != 1 or page.tiledepth != 1:
        raise ImageError("a volume can't be read; save each slice of it as an image")
    dtype = _dtype(page)
    check_size(width, height, max_pixels, pixel_bytes=samples * dtype.itemsize)
    planes, each = (samples, 1) if page.planarconfig == 2 and samples > 1 else (1, samples)
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    if rows < 1 or columns < 1:
        raise ImageError(f"damaged: its header says tiles of {columns} x {rows} pixels")
    check_size(columns, rows, max_pixels, pixel_bytes=each * dtype.itemsize)
    _check_kind(page, dtype)
    count = planes * -(-height // rows) * -(-width // columns)
    if min(len(page.dataoffsets), len(page.databytecounts)) < count:
        raise ImageError(f"damaged: it lists {len(page.dataoffsets)} strips or tiles where {count} are needed")
    result = np.zeros((height, width, planes, each), dtype)
    for index in range(count):
        offset, size = page.dataoffsets[index], page.databytecounts[index]
        if offset == 0 and size == 0:  # a sparse file leaves out what is black
            continue
        if offset < 0 or size < 0 or offset + size > len(data):
            raise ImageError(TRUNCATED)
        _, (plane, _, top, left, _), (_, *shape) = page.decode(None, index)
        cut = result[top : top + rows, left : left + columns, plane]
        part = memoryview(data)[offset : offset + size]
        if page.compression in _IMAGES:
            values = _image(page, bytes(part), (shape[0], shape[1], each), dtype)
        else:
            values = _unpacked(page, part, index, shape)
        cut[...] = values[: cut.shape[0], : cut.shape[1]]
    return result.reshape(height, width, samples)


def _dtype(page: Any) -> np.dtype[Any]:
    bits, kind = page.bitspersample, {1: "u", 2: "i", 3: "f", 4: "u"}.get(page.sampleformat, "")
    if not isinstance(bits, int) or not kind or not (bits in (8, 16, 32, 64) or (kind == "u" and 1 <= bits < 16)):
        raise ImageError(f"channels of {bits} bit, sample format {page.sampleformat}, can't be read; save it as 16 bit")
    if kind == "f" and bits == 8:
        raise ImageError("floats of 8 bit can't be read; save it as 32-bit float")
    return np.dtype(f"{kind}{(bits + 7) // 8}")


def _check_kind(page: Any, dtype: np.dtype[Any]) -> None:
    if page.compression not in _BYTES | _IMAGES:
        name = getattr(page.compression, "name", f"number {page.compression}").lower()
        raise ImageError(f"its compression ({name}) can't be read; save it with deflate")
    whole = page.bitspersample == 8 * dtype.itemsize
    predictors = {1} if page.compression in _IMAGES or not whole else {1, 2, 3} if dtype.kind == "f" else {1, 2}
    if page.predictor not in predictors:
        raise ImageError(f"predictor {int(page.predictor)} of {page.bitspersample} bit can't be read; save it without")


def _unpacked(page: Any, part: memoryview, index: int, shape: list[int]) -> NDArray[Any]:
    """The values of a strip or tile, (rows, columns, each), that isn't an image in itself."""
    rows, columns, each = shape
    size = rows * -(-columns * each * page.bitspersample // 8)
    packed = part[: size if page.compression == _NONE else 2 * size + 4096]
    try:
        values = page.decode(packed, index)[0]
    except RuntimeError as error:  # as all errors of imagecodecs
        raise ImageError(_reason(page, packed, size, error)) from None
    except (ValueError, tifffile.TiffFileError):  # where the bytes are too few
        values = None
    if values is None or values.shape[1:] != (rows, columns, each):
        raise ImageError(TRUNCATED if page.compression == _NONE else "damaged: one of its strips or tiles is too short")
    unpacked: NDArray[Any] = values[0]
    return unpacked


def _reason(page: Any, packed: memoryview, size: int, error: RuntimeError) -> str:
    """What is wrong with bytes that can't be unpacked; of deflate, zlib tells what libdeflate does not."""
    more, checksum = "too small" in str(error).lower().replace("_", " "), False
    if page.compression in _DEFLATE:
        stream = zlib.decompressobj()
        try:
            stream.decompress(packed, size)
            more = bool(stream.decompress(stream.unconsumed_tail, 1))
            if not more and not stream.eof:
                return TRUNCATED
        except zlib.error as wrong:
            more, checksum = False, "data check" in str(wrong)
    if checksum:
        return "damaged: the checksum of its pixels is wrong"
    what = "holds more than its header says" if more else "can't be unpacked"
    return f"damaged: one of its strips or tiles {what}"


def _image(page: Any, data: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values of a strip or tile that is an image in itself, which must be of this shape."""
    rows, columns, each = shape
    if page.compression == _JPEG:
        return _jpeg(page, data, shape)
    out = np.empty(shape if each > 1 else shape[:2], dtype)
    if page.compression in _WEBP:
        imagecodecs.webp_decode(data, hasalpha=each == 4, out=out)  # compares sizes before it decodes
    else:  # OpenJPEG compares them afterwards (ITU-T T.800, A.5.1)
        data = data[data.index(b"\xff\x4f\xff\x51") :]  # without a JP2 container
        right, bottom, x, y, channels = struct.unpack_from(">8x4I16xH", data)
        if (bottom - y, right - x, channels) != shape:
            raise ImageError(f"damaged: one of its strips or tiles is no JPEG 2000 of {columns} x {rows} pixels")
        imagecodecs.jpeg2k_decode(data, out=out)
    return out.reshape(shape)


def _jpeg(page: Any, data: bytes, shape: tuple[int, int, int]) -> NDArray[Any]:
    """A strip or tile that is a JPEG, whose tables the page may hold for all of them (Technical Note 2)."""
    (rows, columns, each), tables = shape, page.jpegtables
    if data[:2] != b"\xff\xd8" or page.bitspersample != 8:
        raise ImageError("damaged: one of its strips or tiles is no JPEG")
    colours = None  # of a JFIF image they are known
    if each == 3 and data[6:10] != b"JFIF":
        colours = "YCBCR" if page.photometric == _YCBCR else "RGB"
    data = b"\xff\xd8" + (tables[2:-2] if tables else b"") + data[2:]
    # The last strip may be as high as the others.
    high = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    check_jpeg(data, max_pixels=high * columns)
    values = imagecodecs.jpeg8_decode(data, colorspace=colours, outcolorspace="RGB" if each == 3 else None)
    values = values[..., None] if values.ndim == 2 else values
    if values.shape[0] < rows or values.shape[1] < columns or values.shape[2] != each:
        raise ImageError(
            f"damaged: one of its strips or tiles is {values.shape[1]} x {values.shape[0]} pixels of "
            f"{values.shape[2]} channels where {columns} x {rows} of {each} are needed"
        )
    return np.asarray(values)
