"""TIFF files beyond what Pillow reads, of any number of channels, of floats; where they lie on Earth; their writing."""

from __future__ import annotations

import io
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from i2i.errors import ImageError

Tag: TypeAlias = tuple[int, int, int, Any]  # code, type, count, value

# Of a GeoTIFF: scale, tie points, transformation, keys, and the numbers and words that keys refer to.
_GEO = (33550, 33922, 34264, 34735, 34736, 34737)
_ORIENTATION = 274
_SAMPLES = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}  # of RGB, CMYK, YCbCr and the three kinds of Lab; else 1
_ALPHA = (1, 2)  # among extra samples; 0 is a channel of any other kind


class Bands(NamedTuple):
    """Values (H, W, C) as they stand in the file, whether the last channel is alpha, and an EXIF orientation."""

    values: NDArray[Any]
    has_alpha: bool
    orientation: int


def read_bands(data: bytes, *, max_pixels: int) -> Bands | None:
    """The first page of a TIFF file with channels beside colour and alpha, or with floats; None for an ordinary one.

    An array (H, W, C) that tifffile wrote as H pages is one picture.

    Raises:
        ImageError: it has more pixels than allowed.
        Exception: whatever else a damaged file leads to.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page, series = file.pages.first, file.series[0]
        rows_apart = series.kind == "shaped" and len(series.shape) == 3 and len(file.pages) == series.shape[0] > 1
        rows_apart = rows_apart and series.shape[2] < min(series.shape[:2])
        extra = page.samplesperpixel - _SAMPLES.get(page.photometric, 1)
        has_alpha = extra == 1 and (not page.extrasamples or page.extrasamples[0] in _ALPHA)
        plain = page.dtype.kind in "biu" and not (page.dtype == np.uint16 and page.samplesperpixel == 2)
        if plain and not rows_apart and (extra == 0 or has_alpha):
            return None
        height, width = series.shape[:2] if rows_apart else (page.imagelength, page.imagewidth)
        check_size(width, height, max_pixels)
        values = (series if rows_apart else page).asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            values = np.moveaxis(values, 0, -1)
        orientation = page.tags.valueof(_ORIENTATION, 1)
        return Bands(values.reshape(height, width, -1), has_alpha, int(orientation))


def geo_tags(data: bytes) -> tuple[Tag, ...]:
    """The tags that say where on Earth a GeoTIFF lies, as `encode_tiff` takes them."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = [file.pages.first.tags.get(code) for code in _GEO]
        return tuple((tag.code, int(tag.dtype), int(tag.count), tag.value) for tag in found if tag is not None)


def encode_tiff(
    values: NDArray[Any],
    *,
    has_alpha: bool,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    geo: tuple[Tag, ...] = (),
) -> bytes:
    """The bytes of a TIFF file of values (H, W, C), compressed without loss."""
    colours = values.shape[-1] - has_alpha
    rgb = colours == 3
    extra = ["unspecified"] * (colours - (3 if rgb else 1)) + ["unassalpha"] * has_alpha
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values if values.shape[-1] > 1 else values[..., 0],
        photometric="rgb" if rgb else "minisblack",
        planarconfig="contig" if values.shape[-1] > 1 else None,
        extrasamples=extra or None,
        compression="zlib",
        predictor=values.dtype.kind == "u",
        iccprofile=icc,
        resolution=dpi,
        resolutionunit="inch" if dpi else None,
        extratags=[(code, kind, count, value, True) for code, kind, count, value in geo],
        metadata=None,
        software="i2i",
    )
    return buffer.getvalue()


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture of too many pixels before it is decoded, as a small file may hold a huge one.

    Raises:
        ImageError: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} pixels, more than the {max_pixels / 1e6:.0f} million that are allowed; if you trust "
            f"it: --max-megapixels {-(-width * height // 10**6)}"
        )
