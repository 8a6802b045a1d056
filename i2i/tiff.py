"""TIFF files beyond what Pillow reads, of any number of channels, of floats; where they lie on Earth; their writing."""

from __future__ import annotations

import io
import logging
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from i2i.errors import ImageError

Tag: TypeAlias = tuple[int, int, int, Any]  # code, type, count, value

# Of a GeoTIFF: scale, tie points, transformation, keys, and the numbers and words that keys refer to.
_GEO = (33550, 33922, 34264, 34735, 34736, 34737)
_ORIENTATION, _ICC, _RESOLUTION = 274, 34675, 282
_WHITE_IS_ZERO, _RGB = 0, 2
_SAMPLES = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}  # of RGB, CMYK, YCbCr and the three kinds of Lab; else 1
_ALPHA = (1, 2)  # among extra samples, of which by the first colours are multiplied; 0 is a channel of any other kind

# What is wrong with a file is raised too; on its own it would also be printed.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Bands(NamedTuple):
    """A page of a TIFF file.

    Attributes:
        values: as they stand in the file, (H, W, C), 0 as black.
        has_alpha: whether the last channel is alpha.
        orientation: as in EXIF.
        icc: its colour profile, or None.
        dpi: pixels per inch across and down, or None.
        frames: pages in the file, smaller copies aside.
    """

    values: NDArray[Any]
    has_alpha: bool
    orientation: int
    icc: bytes | None
    dpi: tuple[float, float] | None
    frames: int


def read_bands(data: bytes, *, max_pixels: int) -> Bands | None:
    """The first page of a TIFF file with other channels than colour and alpha, deep colour or floats; None of others.

    An array (H, W, C) that tifffile wrote as H pages is one picture.

    Raises:
        ImageError: it has more pixels than allowed, or is compressed in a way that can't be read here.
        Exception: whatever else a damaged file leads to.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if not len(file.pages):
            raise UnidentifiedImageError
        page, series = file.pages.first, file.series[0]
        rows_apart = series.kind == "shaped" and len(series.shape) == 3 and len(file.pages) == series.shape[0] > 1
        rows_apart = rows_apart and series.shape[2] < min(series.shape[:2])
        extra = page.samplesperpixel - _SAMPLES.get(page.photometric, 1)
        has_alpha = extra == 1 and (not page.extrasamples or page.extrasamples[0] in _ALPHA)
        # Of 16 bit Pillow reads grey alone, and that without turning it where zero is white.
        deep = page.dtype == np.uint16 and (page.samplesperpixel == 2 or page.photometric in (_WHITE_IS_ZERO, _RGB))
        plain = page.dtype is None or (page.dtype.kind in "biu" and not deep)
        if plain and not rows_apart and (extra == 0 or has_alpha):
            return None
        height, width = series.shape[:2] if rows_apart else (page.imagelength, page.imagewidth)
        check_size(width, height, max_pixels)
        orientation = int(page.tags.valueof(_ORIENTATION, 1))
        try:
            values = (series if rows_apart else page).asarray()
            if page.planarconfig == 2 and page.samplesperpixel > 1:
                values = np.moveaxis(values, 0, -1)
            values = values.reshape(height, width, -1)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            values, orientation = _by_opencv(data, page), 1  # OpenCV applies it
        white = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
        if page.photometric == _WHITE_IS_ZERO:
            values = white - values
        if has_alpha and page.extrasamples[:1] == _ALPHA[:1]:
            values = _divided(values, white)
        return Bands(
            values,
            has_alpha,
            orientation,
            icc=page.tags.valueof(_ICC),
            dpi=page.get_resolution("inch") if _RESOLUTION in page.tags and page.resolutionunit > 1 else None,
            frames=1 if rows_apart else _count(file),
        )


def _count(file: Any) -> int:
    try:
        return sum(not page.is_reduced for page in file.pages)
    except Exception:  # what follows the first page may be damaged
        return 1


def _by_opencv(data: bytes, page: Any) -> NDArray[Any]:
    """What tifffile alone can't unpack, such as LZW."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if page.planarconfig == 1 else None
    if values is None or values.dtype != page.dtype or values.size != page.size:
        raise ImageError(
            f"its compression ({page.compression.name.lower()}) needs another package; pip install imagecodecs, or "
            "save it with deflate"
        )
    in_turn: NDArray[Any] = values[..., [2, 1, 0, 3][: values.shape[-1]]] if values.ndim == 3 else values[..., None]
    return in_turn


def _divided(values: NDArray[Any], white: float) -> NDArray[Any]:
    """Colours by which alpha, the last channel, has been multiplied, without it; black where it is 0."""
    alpha = values[..., -1:].astype(np.float64)
    colours = np.minimum(values[..., :-1] * (white / np.where(alpha > 0, alpha, np.inf)), white)
    colours = np.round(colours) if values.dtype.kind == "u" else colours
    return np.concatenate([colours.astype(values.dtype), values[..., -1:]], axis=-1)


def pages_in(data: bytes) -> int:
    """Pages of a TIFF file, smaller copies aside."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return _count(file)


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
