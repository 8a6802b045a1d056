"""Pictures as files hold them, and their reading: levels, and what goes with them (alpha, colour profile, EXIF)."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from i2i.errors import ImageError
from i2i.tiff import Tag, check_size, geo_tags, pages_in, read_bands

Levels: TypeAlias = NDArray[Any]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy"})
SUFFIXES_IN_WORDS = " ".join(sorted(SUFFIXES))
READABLE = SUFFIXES | {".gif"}
MAX_PIXELS = 178_000_000  # from where on Pillow takes a picture for an attack, too

# Pillow would also try formats that start other programs, such as PostScript.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_ARRAY = b"\x93NUMPY"
_ARRAY_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_QUIET = threading.Lock()  # what Python keeps of warnings is one for all threads


@dataclass(frozen=True)
class Picture:
    """A picture as files hold it.

    Attributes:
        levels: uint8, uint16, or float32 in [0, 1], (H, W, C); C is 1 (grey), 3 (RGB), or that of other channels.
        alpha: its transparency, (H, W), of the same depth, or None.
        icc: its colour profile, or None.
        exif: what a camera wrote, without the orientation, which is applied, or None.
        dpi: pixels per inch across and down, or None.
        geo: where on Earth it lies, as tags of a GeoTIFF.
        frames: pictures in the file, of which this is the first.
    """

    levels: Levels
    alpha: Levels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: tuple[Tag, ...] = ()
    frames: int = 1


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file, or its bytes: EXIF orientation applied, palettes and CMYK turned into RGB.

    What it holds decides, not its suffix. Of several frames or pages the first is read.

    Args:
        source: the file or its bytes: PNG, JPEG, WebP, TIFF, BMP, GIF, or an array (H, W) or (H, W, C) as .npy.
        max_pixels: refuse what has more, before it is decoded.

    Raises:
        ImageError: there is no such file, or it isn't a picture that can be read; the message names it and says why.
    """
    name = "these bytes" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return _decode(data, max_pixels)
    except (UnidentifiedImageError, EOFError, LookupError, struct.error):  # the latter say nothing to people
        raise ImageError(f"{name}: {'not an image that can be read' if data else 'an empty file'}") from None
    except Exception as error:  # decoders of damaged files raise whatever they come upon
        raise ImageError(f"{name}: {str(error) or type(error).__name__}") from None


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, in order of name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in READABLE
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def from_pil(image: Image.Image) -> Picture:
    """The levels of a PIL image, and what goes with them."""
    frames, tiff = _frames(image), image.format == "TIFF"
    with contextlib.suppress(struct.error, ValueError, TypeError, KeyError, SyntaxError):  # damaged EXIF says nothing
        image = ImageOps.exif_transpose(image)
    about = {**_about(image), "frames": frames}
    if tiff:
        about["exif"] = None  # its own tags, which say how the file is laid out
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        values = np.asarray(image)
        if values.size and values.min() < 0:
            raise ImageError(f"levels down to {values.min()}; give uint8 or uint16 levels, or floats in [0, 1]")
        return Picture(np.clip(values, 0, 65535).astype(np.uint16)[..., None], **about)
    if image.mode == "F":
        return Picture(checked_floats(np.asarray(image)[..., None]), **about)
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"a picture of mode {image.mode!r}; convert it to 8 or 16 bit grey or RGB")
    if image.mode == "CMYK":
        return Picture(np.asarray(_rgb_of_cmyk(image, about.pop("icc"))), **about)
    grey = image.mode in ("1", "L", "LA", "La")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        levels = np.asarray(_as_mode(image, "LA" if grey else "RGBA"))
        return Picture(levels[..., :-1], levels[..., -1], **about)
    levels = np.asarray(_as_mode(image, "L" if grey else "RGB"))
    return Picture(levels[..., None] if grey else levels, **about)


def to_pil(picture: Picture) -> Image.Image:
    """A PIL image; 16-bit and float grey stay as deep, colour of such depth, which PIL doesn't have, becomes 8 bit.

    Raises:
        ImageError: PIL has no picture of so many channels.
    """
    whole = all_channels(picture)
    if whole.shape[-1] > 4:
        raise ImageError(f"PIL has no picture of {whole.shape[-1]} channels; give an array, or write a .tif or .npy")
    if whole.shape[-1] == 1 and whole.dtype != np.uint8:
        image = Image.fromarray(np.ascontiguousarray(whole[..., 0]))
    else:
        eight = np.ascontiguousarray(as_depth(whole, np.dtype(np.uint8)))
        image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    kept = {"icc_profile": picture.icc, "exif": picture.exif, "dpi": picture.dpi}
    image.info |= {name: value for name, value in kept.items() if value}
    return image


def all_channels(picture: Picture) -> Levels:
    """Levels and alpha together, (H, W, C) or (H, W, C + 1)."""
    if picture.alpha is None:
        return picture.levels
    return np.concatenate([picture.levels, picture.alpha[..., None]], axis=-1)


def full_scale(depth: np.dtype[Any]) -> float:
    """The level of white: 255, 65535, or 1 for floats."""
    return float(np.iinfo(depth).max) if np.issubdtype(depth, np.integer) else 1.0


def as_depth(levels: Levels, depth: np.dtype[Any]) -> Levels:
    """Levels of another depth, rounded to nearest."""
    if levels.dtype == depth:
        return levels
    scaled = levels * (full_scale(depth) / full_scale(levels.dtype))
    return (np.round(scaled) if np.issubdtype(depth, np.integer) else scaled).astype(depth)


def as_eight_bit(levels: Levels) -> Levels:
    """Levels of 8 bits, rounded to nearest."""
    return as_depth(levels, np.dtype(np.uint8))


def checked_floats(values: NDArray[Any]) -> Levels:
    """Floats of a file, as float32.

    Raises:
        ImageError: some are no numbers, or lie outside of [0, 1].
    """
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ImageError(f"{bad} of its {values.size} values are no numbers (NaN or infinite); fill them first")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ImageError(f"floats from {low:.4g} to {high:.4g}; in a file they lie in [0, 1]: scale them first")
    return values.astype(np.float32)


def _decode(data: bytes, max_pixels: int) -> Picture:
    if data.startswith(_ARRAY):
        return _from_array(data, max_pixels)
    tiff = data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    bands = read_bands(data, max_pixels=max_pixels) if tiff else None
    geo = geo_tags(data) if tiff else ()
    if bands is not None:
        levels = _ORIENTATIONS.get(bands.orientation, _ORIENTATIONS[1])(_checked(bands.values))
        levels = np.ascontiguousarray(levels)
        about: dict[str, Any] = {"icc": bands.icc, "dpi": _usable(bands.dpi), "geo": geo, "frames": bands.frames}
        if bands.has_alpha:
            return Picture(levels[..., :-1], levels[..., -1], **about)
        return Picture(levels, **about)
    if max_pixels > MAX_PIXELS:  # asked for, so Pillow should allow it too
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or max_pixels, max_pixels)
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            _about(image)
    except Image.DecompressionBombError as error:
        raise ImageError(f"{error}; if you trust it, raise --max-megapixels") from None
    check_size(*image.size, max_pixels)
    picture = _deep_colour(data, image) or from_pil(image)
    return replace(picture, geo=geo, frames=pages_in(data)) if tiff else picture


def _from_array(data: bytes, max_pixels: int) -> Picture:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in _ARRAY_HEADERS:
        raise ImageError("an array of a kind that holds no picture")
    shape, _, dtype = _ARRAY_HEADERS[version](file)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ImageError(f"an array of shape {shape}; a picture is (H, W) or (H, W, C)")
    check_size(shape[1], shape[0], max_pixels)
    _check_kind(dtype)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return Picture(_checked(array if array.ndim == 3 else array[..., None]))


def _checked(values: NDArray[Any]) -> Levels:
    _check_kind(values.dtype)
    if values.dtype.kind == "f":
        return checked_floats(values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f" and dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ImageError(f"values of {dtype}; give uint8 or uint16 levels, or floats in [0, 1]")


def _about(image: Image.Image) -> dict[str, Any]:
    """What goes with a PIL image's pixels, its orientation aside."""
    found: dict[str, Any] = {"icc": image.info.get("icc_profile")}
    with contextlib.suppress(Exception):  # damaged EXIF says nothing
        tags = Image.Exif()
        tags.load(image.getexif().tobytes())
        tags.pop(_ORIENTATION, None)
        found["exif"] = tags.tobytes() if tags else None
    with contextlib.suppress(Exception):
        found["dpi"] = _usable(image.info["dpi"])
    return found


def _usable(dpi: Sequence[Any] | None) -> tuple[float, float] | None:
    across, down = map(float, dpi or (0, 0))
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _frames(image: Image.Image) -> int:
    if image.format not in ("GIF", "TIFF", "WEBP", "PNG"):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # what follows the first frame may be damaged
        return 1


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy it


def _rgb_of_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    """By the picture's own profile, where it has one that can be used."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if icc:
            own, screen = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, own, screen, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def _deep_colour(data: bytes, image: Image.Image) -> Picture | None:
    """A PNG's 16-bit colour, or grey with alpha, which Pillow would cut to 8 bit, read by OpenCV."""
    if image.format != "PNG" or data[24] != 16 or data[25] not in (2, 4, 6):
        return None
    levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None:
        image.load()  # says what is wrong, where it is more than a torn end
        raise ImageError("image file is truncated")
    with contextlib.suppress(Exception):  # damaged EXIF says nothing
        levels = _ORIENTATIONS.get(image.getexif().get(_ORIENTATION, 1), _ORIENTATIONS[1])(levels)
    colours = levels[..., :1] if data[25] == 4 else levels[..., 2::-1]
    alpha = np.ascontiguousarray(levels[..., 3]) if levels.shape[-1] == 4 else None
    return Picture(np.ascontiguousarray(colours), alpha, frames=_frames(image), **_about(image))


_ORIENTATION = 0x0112
# What undoes each EXIF orientation, on (H, W, C).
_ORIENTATIONS: dict[int, Callable[[Levels], Levels]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}
