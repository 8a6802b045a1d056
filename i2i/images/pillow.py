"""Decoded images from and to Pillow, with their metadata."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

from i2i.errors import ImageError, setting
from i2i.images.decoded import DecodedImage, PixelArray, all_channels, as_depth, as_pixels, check_floats
from i2i.images.limits import MAX_MEGAPIXELS, check_size

_WARNINGS = threading.Lock()  # Python has one list of warning filters for all threads

# Pillow would also print what it raises.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def to_pil(decoded: DecodedImage) -> Image.Image:
    """A PIL image; 16-bit and float grey keep their depth, deeper colour, which PIL lacks, becomes 8 bit.

    Raises:
        ImageError: PIL has no image with so many channels.
    """
    whole = all_channels(decoded)
    if whole.shape[-1] > 4:
        raise ImageError(f"PIL has no image with {whole.shape[-1]} channels; give an array, or write a .tif or .npy")
    if whole.shape[-1] == 1 and whole.dtype != np.uint8:
        image = Image.fromarray(np.ascontiguousarray(whole[..., 0]))
    else:
        eight = np.ascontiguousarray(as_depth(whole, np.dtype(np.uint8)))
        image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    kept = {"icc_profile": decoded.icc, "exif": decoded.exif, "dpi": decoded.dpi}
    image.info |= {name: value for name, value in kept.items() if value}
    return image


def from_pil(image: Image.Image, *, frames: int | None = None) -> DecodedImage:
    """Return the pixels of a PIL image, and their metadata.

    Args:
        image: a PIL image.
        frames: how many images its file holds; counted by Pillow unless given.

    Raises:
        ImageError: i2i doesn't take its mode.
        Exception: any other error that a damaged file causes.
    """
    if frames is None:
        frames = _frames(image)
    tiff = image.format == "TIFF"
    image.load()
    with without_warnings():
        with contextlib.suppress(Exception):  # damaged EXIF says nothing
            image = ImageOps.exif_transpose(image)
        kept = {**metadata(image), "frames": frames}
    if tiff:
        kept["exif"] = None  # Pillow gives the tags of the file itself
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        return DecodedImage(as_pixels(np.asarray(image)[..., None]), **kept)
    if image.mode == "F":
        return DecodedImage(check_floats(np.asarray(image)[..., None]), **kept)
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"an image of mode {image.mode!r}; convert it to 8 or 16 bit grey or RGB")
    if image.mode == "CMYK":
        return DecodedImage(np.asarray(cmyk_to_rgb(image, kept.pop("icc"))), **kept)
    grey = image.mode in ("1", "L", "LA", "La")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        pixels = np.asarray(_as_mode(image, "LA" if grey else "RGBA"))
        return DecodedImage(pixels[..., :-1], pixels[..., -1], **kept)
    pixels = np.asarray(_as_mode(image, "L" if grey else "RGB"))
    return DecodedImage(pixels[..., None] if grey else pixels, **kept)


def open_pillow(data: bytes, kind: str, *, max_pixels: int) -> Image.Image:
    """Open the bytes of a file as this format alone: others of Pillow's start programs, as PostScript does.

    Raises:
        ImageError: it has more pixels or bytes than allowed.
        Exception: any other error that a damaged file causes.
    """
    if max_pixels > MAX_MEGAPIXELS * 10**6:  # asked for, so Pillow should allow it too
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or max_pixels, max_pixels)
    try:
        with without_warnings():
            image = Image.open(io.BytesIO(data), formats=[kind])
            if kind == "PNG" and "Raw profile type exif" not in image.info:
                image.info.setdefault("exif", b"")  # else Pillow decodes all pixels to look for it behind them
            metadata(image)
    except Image.DecompressionBombError:
        raise ImageError(f"more pixels than are allowed; if you trust it, raise {setting('max_megapixels')}") from None
    check_size(*image.size, max_pixels, pixel_bytes=len(image.getbands()))
    return image


def encode_pillow(pixels: PixelArray, kind: str, image: DecodedImage, **options: Any) -> bytes:
    """Return the file of pixels (H, W, C), uint8 or 16-bit grey, with the metadata of an image.

    Args:
        pixels: with alpha as the last of 2 or 4 channels.
        kind: Pillow's name of the format.
        image: whose profile, EXIF and resolution to write.
        options: of Pillow's writer.
    """
    kept = {"icc_profile": image.icc, "exif": image.exif, "dpi": image.dpi}
    options = {name: value for name, value in kept.items() if value} | options
    buffer = io.BytesIO()
    to_pil(DecodedImage(np.ascontiguousarray(pixels))).save(buffer, kind, **options)
    return buffer.getvalue()


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore Python's warnings, which would be printed."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def metadata(image: Image.Image) -> dict[str, Any]:
    """The metadata of a PIL image, except its orientation, as fields of a DecodedImage."""
    found: dict[str, Any] = {"icc": image.info.get("icc_profile")}
    with contextlib.suppress(Exception):  # damaged EXIF says nothing
        tags = Image.Exif()
        tags.load(image.getexif().tobytes())
        tags.pop(_ORIENTATION, None)
        found["exif"] = tags.tobytes() if tags else None
    with contextlib.suppress(Exception):
        found["dpi"] = usable_dpi(image.info["dpi"])
    return found


def usable_dpi(dpi: Sequence[Any] | None) -> tuple[float, float] | None:
    """A resolution, in pixels per inch across and down, or None if it isn't plausible for an image."""
    across, down = map(float, dpi or (0, 0))
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert to RGB, by the colour profile where there is one that can be used."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if icc:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def exif_orientation(image: Image.Image) -> int:
    """The orientation that a PIL image's EXIF states, 1 to 8; 1 where it is damaged or states none."""
    with contextlib.suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def upright(pixels: PixelArray, orientation: int) -> PixelArray:
    """Pixels (H, W, C) turned and mirrored as an EXIF orientation says."""
    return _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])(pixels)


def _frames(image: Image.Image) -> int:
    if image.format not in ("GIF", "TIFF", "WEBP", "PNG"):
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # what follows the first frame may be damaged
        return 1


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy it


_ORIENTATION = 0x0112
# What undoes each EXIF orientation, on (H, W, C).
_ORIENTATIONS: dict[int, Callable[[PixelArray], PixelArray]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}
