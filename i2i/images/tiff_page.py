"""The page of a TIFF file that is the image: its pixels, what they mean, and its georeference."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import struct
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from i2i.errors import ImageError
from i2i.images.decoded import Tag, as_pixels
from i2i.images.limits import check_size
from i2i.images.tiff_strips import page_values

# Of a GeoTIFF: scale, tie points, transformation, keys, and the numbers and words that keys refer to.
_GEO = (33550, 33922, 34264, 34735, 34736, 34737)
_SUBFILE_TYPE, _ORIENTATION, _ICC, _RESOLUTION, _DNG = 254, 274, 34675, 282, 50706
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_JPEG = 7
_ALPHA = (1, 2)  # among extra samples, of which by the first colours are multiplied; 0 is a channel of any other kind
_MAX_PAGES = 10_000  # that are counted

# tifffile would also print what it raises.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Bands(NamedTuple):
    """A page of a TIFF file.

    Attributes:
        values: uint8, uint16, or floats as they stand in the file, (H, W, C), 0 as black; in CMYK as no ink.
        has_alpha: whether the last channel is alpha.
        is_cmyk: whether the first four channels are inks.
        orientation: as in EXIF.
        icc: its colour profile, or None.
        dpi: pixels per inch across and down, or None.
        geo: georeference, as tags.
        frames: pages in the file, smaller copies and masks aside, up to 10,000.
    """

    values: NDArray[Any]
    has_alpha: bool
    is_cmyk: bool
    orientation: int
    icc: bytes | None
    dpi: tuple[float, float] | None
    geo: tuple[Tag, ...]
    frames: int


def read_bands(data: bytes, *, max_pixels: int) -> Bands:
    """The first page of a TIFF file that is an image of full resolution, of any number of channels.

    Values of up to 7 bits become 8 bit and those of 9 to 15 bits 16 bit, white becoming white; integers of 32 and 64
    bits are taken as 16 bit, as programs that count in them write them. An array (H, W, C) that tifffile
    wrote as H pages is one image.

    Raises:
        ImageError: it is damaged, has more pixels or bytes than allowed, or is of a kind that can't be read.
        Exception: any other error that a damaged file causes.
    """
    reduced = _pages(data)
    if not reduced:
        raise ImageError("damaged or truncated: it is a TIFF without an image")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        full = [index for index, is_reduced in enumerate(reduced) if not is_reduced] or [0]
        page = file.pages[full[0]]
        if _DNG in page.tags:
            raise ImageError("not an image that can be read: a camera's raw image; develop it to TIFF or JPEG first")
        photometric = int(page.photometric)
        if photometric not in _COLOURS or (photometric == _YCBCR and page.compression != _JPEG):
            name = getattr(page.photometric, "name", photometric)
            raise ImageError(f"its colours ({name}) can't be read; save it as grey or RGB")
        rows = _rows_apart(page, len(reduced))
        if rows:
            check_size(page.imagelength, rows, max_pixels, pixel_bytes=page.imagewidth * page.dtype.itemsize)
            each = [page_values(file.pages[row], data, max_pixels=max_pixels)[..., 0] for row in range(rows)]
            values = np.stack(each)
        else:
            values = page_values(page, data, max_pixels=max_pixels)
        values = _scaled(values, page)
        extra = page.samplesperpixel - _COLOURS[photometric]
        has_alpha = extra == 1 and (not page.extrasamples or page.extrasamples[0] in _ALPHA)
        if has_alpha and page.extrasamples[:1] == _ALPHA[:1]:
            values = _divided(values)
        return Bands(
            values,
            has_alpha,
            is_cmyk=photometric == _CMYK,
            orientation=int(page.tags.valueof(_ORIENTATION, 1)),
            icc=_profile(page),
            dpi=_dpi(page),
            geo=_geo_tags(page),
            frames=1 if rows else len(full),
        )


def _pages(data: bytes) -> list[bool]:
    """Whether each page is a smaller copy or a mask of another, up to `_MAX_PAGES` and as far as the chain is whole."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    at_next, count_format, entry = (8, "Q", 20) if big else (4, "H", 12)
    offset_format = order + ("Q" if big else "I")
    pages: list[bool] = []
    seen: set[int] = set()
    with contextlib.suppress(struct.error):
        (at,) = struct.unpack_from(offset_format, data, at_next)
        while at and at not in seen and len(pages) < _MAX_PAGES:
            seen.add(at)
            (count,) = struct.unpack_from(order + count_format, data, at)
            start = at + struct.calcsize(order + count_format)
            if not count:
                break
            (at,) = struct.unpack_from(offset_format, data, start + count * entry)
            pages.append(bool(_subfile_type(data, start, count, order, entry) & 0b101))
    return pages


def _subfile_type(data: bytes, start: int, count: int, order: str, entry: int) -> int:
    for index in range(min(count, 4)):  # tags are in order of their codes, of which this is the lowest
        code, kind = struct.unpack_from(order + "HH", data, start + index * entry)
        if code == _SUBFILE_TYPE:
            at = start + index * entry + (12 if entry == 20 else 8)
            return int(struct.unpack_from(order + {3: "H", 16: "Q"}.get(kind, "I"), data, at)[0])
    return 0


def _rows_apart(page: Any, pages: int) -> int:
    """The rows of an array (H, W, C) that tifffile wrote as a page (W, C) for each; 0 for other files."""
    try:
        shape = json.loads(page.shaped_description or "{}").get("shape", ())
    except (ValueError, AttributeError, RecursionError):
        return 0
    small = len(shape) == 3 and shape[1:] == [page.imagelength, page.imagewidth] and shape[2] < min(shape[:2])
    return pages if small and pages == shape[0] > 1 and page.samplesperpixel == 1 else 0


def _scaled(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Scale values to uint8, uint16 or floats with 0 as black; look up palettes."""
    bits = page.bitspersample
    if page.photometric == _PALETTE:
        colours = np.asarray(page.colormap)
        if values.shape[-1] != 1 or values.dtype.kind != "u" or colours.shape != (3, 2**bits):
            raise ImageError("damaged: its palette has another number of colours than its header says")
        looked_up: NDArray[Any] = (colours.T >> 8).astype(np.uint8)[values[..., 0]]
        return looked_up
    if values.dtype.kind == "u" and bits < 8 * values.dtype.itemsize:
        scale = np.iinfo(values.dtype).max / (2**bits - 1)
        values = np.round(np.arange(2**bits) * scale).astype(values.dtype)[values]
    values = as_pixels(values)
    if page.photometric == _WHITE_IS_ZERO:
        values = (np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1) - values
    return values


def _profile(page: Any) -> bytes | None:
    profile = page.tags.valueof(_ICC)
    return profile if isinstance(profile, bytes) else None


def _dpi(page: Any) -> tuple[float, float] | None:
    with contextlib.suppress(Exception):  # damaged, it says nothing
        across, down = page.get_resolution("inch") if _RESOLUTION in page.tags and page.resolutionunit > 1 else (0, 0)
        return (across, down) if across else None
    return None


def _divided(values: NDArray[Any]) -> NDArray[Any]:
    """Colours by which alpha, the last channel, has been multiplied, without it; black where it is 0."""
    white = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    alpha = values[..., -1:].astype(np.float64)
    colours = np.minimum(values[..., :-1] * (white / np.where(alpha > 0, alpha, np.inf)), white)
    colours = np.round(colours) if values.dtype.kind == "u" else colours
    return np.concatenate([colours.astype(values.dtype), values[..., -1:]], axis=-1)


def _geo_tags(page: Any) -> tuple[Tag, ...]:
    """The tags of a GeoTIFF's georeference, as `encode_tiff` takes them."""
    found = [page.tags.get(code) for code in _GEO]
    return tuple((tag.code, int(tag.dtype), int(tag.count), tag.value) for tag in found if tag is not None)
