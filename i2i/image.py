"""Pictures at the door: reading, writing, and the only place where ranges and layouts change.

Inside, a picture is float (N, C, H, W) in [-1, 1]. At the door it is levels, uint8 or uint16 (H, W, C), rounded to
nearest, so that a network that changes nothing gives back the same picture.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from i2i.errors import ImageError, UsageError
from i2i.files import write_whole

Levels: TypeAlias = NDArray[Any]
ImageLike: TypeAlias = "Image.Image | NDArray[Any] | Tensor | str | Path | bytes"

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
JPEG_QUALITY = 95


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
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            deep = _deep_colour(data, image)
            return deep or from_pil(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error) as error:
        reason = "not an image that can be read" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise ImageError(f"{name}: {reason}") from None


def from_pil(image: Image.Image) -> Picture:
    """The levels, alpha and profile of a PIL image."""
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
        eight = _as_eight_bit(np.concatenate(parts, axis=-1))
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
        raise UsageError(f"can't write images as {suffix or 'a file without a suffix'!r}; use one of {_suffixes()}")
    deep = picture.levels.dtype == np.uint16 and (picture.levels.shape[-1] > 1 or picture.alpha is not None)
    if deep and suffix in (".png", ".tif", ".tiff"):
        return _encode_deep_colour(picture, suffix)
    if suffix not in (".png", ".tif", ".tiff"):
        picture = replace(picture, levels=_as_eight_bit(picture.levels))
    if suffix in (".jpg", ".jpeg", ".bmp"):
        picture = replace(picture, alpha=None)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"icc_profile": picture.icc} if picture.icc and suffix != ".bmp" else {}
    if suffix in (".jpg", ".jpeg"):
        options |= {"quality": JPEG_QUALITY, "subsampling": 0}
    elif suffix == ".webp":
        options |= {"lossless": True}
    to_pil(picture).save(buffer, Image.registered_extensions()[suffix], **options)
    return buffer.getvalue()


def to_tensor(levels: Levels, channels: int) -> Tensor:
    """Levels (H, W, C) to float (channels, H, W) in [-1, 1]; grey is repeated, colour is turned grey, where asked.

    Raises:
        ImageError: the picture has another number of channels and neither is 1.
    """
    values = levels.astype(np.float32)
    if values.shape[-1] == 3 and channels == 1:
        values = values @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32)
    elif values.shape[-1] == 1 and channels > 1:
        values = np.repeat(values, channels, axis=-1)
    elif values.shape[-1] != channels:
        raise ImageError(f"a picture of {values.shape[-1]} channels where {channels} are needed")
    half = np.float32(np.iinfo(levels.dtype).max / 2)
    return torch.from_numpy(np.ascontiguousarray((values / half - 1).transpose(2, 0, 1)))


def to_levels(image: Tensor, depth: np.dtype[Any] | type = np.uint8) -> Levels:
    """Float (C, H, W) in [-1, 1] to levels (H, W, C) of a depth, rounded to nearest, clipped to the range."""
    half = np.iinfo(depth).max / 2
    values = (image.detach().double().cpu().clamp(-1, 1) + 1) * half
    return np.ascontiguousarray(values.round().numpy().transpose(1, 2, 0).astype(depth))


class Frame(NamedTuple):
    """Where a picture lies in the padded one."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, x: Tensor) -> Tensor:
        """Cut the picture out of (..., H, W)."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]


def pad(x: Tensor, *, multiple: int, smallest: int = 1) -> tuple[Tensor, Frame]:
    """Mirror (..., H, W) outwards, however far, until both sides are multiples of a number and large enough."""
    height, width = x.shape[-2:]
    rows, top = _mirrored(height, multiple, smallest)
    columns, left = _mirrored(width, multiple, smallest)
    frame = Frame(top, left, height, width)
    if len(rows) == height and len(columns) == width:
        return x, frame
    return x[..., rows.to(x.device), :][..., columns.to(x.device)], frame


def _mirrored(size: int, multiple: int, smallest: int) -> tuple[Tensor, int]:
    needed = -(-max(size, smallest) // multiple) * multiple
    before = (needed - size) // 2
    period = max(2 * (size - 1), 1)
    place = (torch.arange(needed) - before) % period
    return torch.where(place < size, place, period - place), before


def _deep_colour(data: bytes, image: Image.Image) -> Picture | None:
    """16-bit colour, which Pillow would cut to 8 bit, read by OpenCV."""
    if image.format == "PNG":
        deep = data[24] == 16 and data[25] in (2, 6)
    elif image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        deep = max(bits) == 16 and len(bits) > 1
    else:
        return None
    if not deep:
        return None
    levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 3:
        return None
    icc = image.info.get("icc_profile")
    alpha = levels[..., 3] if levels.shape[-1] == 4 else None
    return Picture(np.ascontiguousarray(levels[..., 2::-1]), alpha, icc)


def _encode_deep_colour(picture: Picture, suffix: str) -> bytes:
    colour = np.repeat(picture.levels, 3, axis=-1) if picture.levels.shape[-1] == 1 else picture.levels
    parts = [colour[..., ::-1]] if picture.alpha is None else [colour[..., ::-1], picture.alpha[..., None]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(np.concatenate(parts, axis=-1)))
    assert done
    return data.tobytes()


def _as_eight_bit(levels: Levels) -> Levels:
    return levels if levels.dtype == np.uint8 else np.round(levels / 257.0).astype(np.uint8)


def _suffixes() -> str:
    return " ".join(sorted(SUFFIXES))
