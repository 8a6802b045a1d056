"""Pictures as files hold them: reading, writing, and what goes with the pixels (alpha, colour profile)."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from i2i.errors import ImageError, UsageError
from i2i.files import write_whole

Levels: TypeAlias = NDArray[Any]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
SUFFIXES_IN_WORDS = " ".join(sorted(SUFFIXES))
JPEG_QUALITY = 95

# Pillow would also try formats that start other programs, such as PostScript.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")


@dataclass(frozen=True)
class Picture:
    """A picture as files hold it.

    Attributes:
        levels: grey or colour, uint8 or uint16, (H, W, C); C is 1 or 3 (RGB) for files.
        alpha: its transparency, (H, W), of the same depth, or None.
        icc: its colour profile, or None.
    """

    levels: Levels
    alpha: Levels | None = None
    icc: bytes | None = None


def read(source: str | Path | bytes) -> Picture:
    """Read an image file, or its bytes: EXIF orientation applied, palettes and CMYK turned into RGB.

    Raises:
        ImageError: there is no such file, or it isn't a picture that can be read; the message names it and says why.
    """
    name = "these bytes" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            deep = _deep_colour(data, image)
            return deep or from_pil(image)
    except Exception as error:  # decoders of damaged files raise whatever they come upon
        reason = "not an image that can be read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ImageError(f"{name}: {reason}") from None


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, in order of name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def from_pil(image: Image.Image) -> Picture:
    """The levels, alpha and profile of a PIL image."""
    with contextlib.suppress(struct.error, ValueError, TypeError, KeyError, SyntaxError):  # damaged EXIF says nothing
        image = ImageOps.exif_transpose(image)
    icc = image.info.get("icc_profile")
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        return Picture(np.clip(np.asarray(image), 0, 65535).astype(np.uint16)[..., None], icc=icc)
    if image.mode in ("F", "LAB", "HSV"):
        raise ImageError(f"a picture of mode {image.mode!r}; convert it to 8 or 16 bit grey or RGB")
    grey = image.mode in ("1", "L", "LA", "La")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        levels = np.asarray(image.convert("LA" if grey else "RGBA"))
        return Picture(levels[..., :-1], levels[..., -1], icc)
    levels = np.asarray(image.convert("L" if grey else "RGB"))
    return Picture(levels[..., None] if grey else levels, icc=None if image.mode == "CMYK" else icc)


def to_pil(picture: Picture) -> Image.Image:
    """A PIL image; 16-bit grey stays 16 bit, 16-bit colour, which PIL doesn't have, becomes 8 bit."""
    levels, alpha = picture.levels, picture.alpha
    if levels.dtype == np.uint16 and levels.shape[-1] == 1 and alpha is None:
        image = Image.fromarray(np.ascontiguousarray(levels[..., 0]))
    else:
        parts = [levels] if alpha is None else [levels, alpha[..., None]]
        eight = as_eight_bit(np.concatenate(parts, axis=-1))
        image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    return image


def write(picture: Picture, path: Path) -> None:
    """Write a picture as its suffix says, whole or not at all. JPEG: quality 95, full colour resolution, no alpha.

    Raises:
        UsageError: the suffix is none of an image.
        OSError: it can't be written there.
    """
    write_whole(path, encode(picture, path.suffix))


def encode(picture: Picture, suffix: str) -> bytes:
    """The bytes of a picture in the format that a suffix such as `.png` names.

    Raises:
        UsageError: the suffix is none of an image.
    """
    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"can't write images as {suffix or 'a file without a suffix'!r}; use one of {SUFFIXES_IN_WORDS}"
        )
    deep = picture.levels.dtype == np.uint16 and (picture.levels.shape[-1] > 1 or picture.alpha is not None)
    if deep and suffix in (".png", ".tif", ".tiff"):
        return _encode_deep_colour(picture, suffix)
    if suffix not in (".png", ".tif", ".tiff"):
        alpha = None if picture.alpha is None else as_eight_bit(picture.alpha)
        picture = replace(picture, levels=as_eight_bit(picture.levels), alpha=alpha)
    if suffix in (".jpg", ".jpeg", ".bmp"):
        picture = replace(picture, alpha=None)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"icc_profile": picture.icc} if picture.icc and suffix != ".bmp" else {}
    if suffix in (".jpg", ".jpeg"):
        options |= {"quality": JPEG_QUALITY, "subsampling": 0}
    elif suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    to_pil(picture).save(buffer, Image.registered_extensions()[suffix], **options)
    return buffer.getvalue()


def as_eight_bit(levels: Levels) -> Levels:
    """Levels of 8 bits, rounded to nearest."""
    return levels if levels.dtype == np.uint8 else np.round(levels / 257.0).astype(np.uint8)


def _deep_colour(data: bytes, image: Image.Image) -> Picture | None:
    """16-bit colour, or grey with alpha, which Pillow would cut to 8 bit, read by OpenCV."""
    if image.format == "PNG":
        deep = data[24] == 16 and data[25] in (2, 4, 6)
    elif image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        deep = max(bits) == 16 and len(bits) > 1
    else:
        return None
    levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if deep else None
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 3:
        return None
    levels = _ORIENTATIONS[image.getexif().get(_ORIENTATION, 1)](levels)
    colours = levels[..., :1] if image.format == "PNG" and data[25] == 4 else levels[..., 2::-1]
    alpha = np.ascontiguousarray(levels[..., 3]) if levels.shape[-1] == 4 else None
    return Picture(np.ascontiguousarray(colours), alpha, image.info.get("icc_profile"))


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


def _encode_deep_colour(picture: Picture, suffix: str) -> bytes:
    colour = np.repeat(picture.levels, 3, axis=-1) if picture.levels.shape[-1] == 1 else picture.levels
    alpha = [] if picture.alpha is None else [picture.alpha[..., None]]
    if suffix != ".png":
        buffer = io.BytesIO()
        whole = np.concatenate([colour, *alpha], axis=-1)
        extra: Any = ["unassalpha"] if alpha else None
        tags: dict[str, Any] = {"photometric": "rgb", "extrasamples": extra, "iccprofile": picture.icc}
        tifffile.imwrite(buffer, whole, compression="zlib", **tags)
        return buffer.getvalue()
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(np.concatenate([colour[..., ::-1], *alpha], axis=-1)))
    assert done
    data = encoded.tobytes()
    if picture.icc:
        # An iCCP chunk, after the header, which ends at byte 33 (PNG specification, 11.3.2.3).
        body = b"iCCPICC profile\0\0" + zlib.compress(picture.icc)
        data = data[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]
    return data
