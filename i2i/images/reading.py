"""Images as files hold them, and their reading: levels, and what goes with them (alpha, colour profile, EXIF)."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, as_eight_bit, check_floats
from i2i.images.formats import HEAD, TRUNCATED, check_file_size, check_size, format_of, max_file_bytes
from i2i.images.gif import frames_in_gif
from i2i.images.jpeg import check_jpeg
from i2i.images.png import check_png
from i2i.images.tiff import as_pixels, read_bands

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy"})
SUFFIXES_IN_WORDS = " ".join(sorted(SUFFIXES))
READABLE = SUFFIXES | {".gif"}
MAX_PIXELS = 178_000_000  # from where on Pillow takes an image for an attack, too

_ARRAY_HEADERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_QUIET = threading.Lock()  # what Python keeps of warnings is one for all threads

# What is wrong with a file is raised; Pillow and OpenCV would also print it.
logging.getLogger("PIL").addHandler(logging.NullHandler())
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Read an image file, or its bytes: EXIF orientation applied, palettes and CMYK turned into RGB.

    What it holds decides, not its suffix. Of several frames or pages the first is read.

    Args:
        source: the file or its bytes: PNG, JPEG, WebP, TIFF, BMP, GIF, or an array (H, W) or (H, W, C) as .npy.
        max_pixels: refuse what has more, before it is decoded.

    Raises:
        ImageError: there is no such file, or it isn't an image that can be read; the message names it and says why.
    """
    name = "these bytes" if isinstance(source, bytes) else str(source)
    try:
        return _decode(source if isinstance(source, bytes) else _contents(Path(source), max_pixels), max_pixels)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except MemoryError:
        raise ImageError(f"{name}: there is not enough memory to decode it") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, in order of name; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in READABLE
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and _is_file(path)
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may be listed but not entered: `read` says so
        return True


def from_pil(image: Image.Image) -> DecodedImage:
    """The levels of a PIL image, and what goes with them."""
    return _with_levels(image, frames=_frames(image))


def _contents(path: Path, max_pixels: int) -> bytes:
    """The bytes of a file, unless its first ones or its size say that it is no image to be read."""
    with path.open("rb") as file:
        format_of(file.peek(HEAD)[:HEAD])
        size = os.fstat(file.fileno()).st_size
        check_file_size(size, max_pixels)
        data = file.read((size or max_file_bytes(max_pixels)) + 1)  # what has no size, such as a pipe, may never end
        check_file_size(len(data), max_pixels)
        return data


def _decode(data: bytes, max_pixels: int) -> DecodedImage:
    kind = format_of(data[:HEAD])
    try:
        return _DECODERS[kind](data, max_pixels)
    except (ImageError, MemoryError):
        raise
    except EOFError:
        raise ImageError(TRUNCATED) from None
    except Exception as error:  # decoders of damaged files raise whatever they come upon
        truncated = any(word in str(error).lower() for word in ("truncat", "not enough", "unexpected end"))
        raise ImageError(TRUNCATED if truncated else f"damaged: its {kind} data can't be decoded") from None


def _from_png(data: bytes, max_pixels: int) -> DecodedImage:
    png = check_png(data, max_pixels=max_pixels)
    image = _opened(png.data, "PNG", max_pixels)
    is_deep, is_wide = png.depth == 16 and png.colour != 0, max(image.size) > _MAX_SIDE
    if is_deep and is_wide:
        raise ImageError(f"{image.width} x {image.height} pixels; 16-bit colour has at most {_MAX_SIDE} on a side")
    by_opencv = is_deep or (png.depth == 8 and png.colour in (2, 6) and not is_wide)
    decoded = _by_opencv(png.data, image) if by_opencv else _with_levels(image)
    alpha = decoded.alpha
    if png.transparent is not None:
        scale = 255 // (2**png.depth - 1) if png.depth < 8 else 1
        seen = (decoded.pixels != np.array(png.transparent) * scale).any(-1)
        alpha = seen.astype(decoded.pixels.dtype) * np.iinfo(decoded.pixels.dtype).max
    return replace(decoded, alpha=alpha, icc=png.icc, frames=png.frames)


def _from_jpeg(data: bytes, max_pixels: int) -> DecodedImage:
    check_jpeg(data, max_pixels=max_pixels)
    return _with_levels(_opened(data, "JPEG", max_pixels))


def _from_webp(data: bytes, max_pixels: int) -> DecodedImage:
    if len(data) < int.from_bytes(data[4:8], "little") + 8 or len(data) < 30:
        raise ImageError(TRUNCATED)
    if data[12:16] == b"VP8X":  # else a side has at most 16384 pixels
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        check_size(width, height, max_pixels, pixel_bytes=4)
    return from_pil(_opened(data, "WEBP", max_pixels))


def _from_gif(data: bytes, max_pixels: int) -> DecodedImage:
    frames = frames_in_gif(data)
    return _with_levels(_opened(data, "GIF", max_pixels), frames=frames)


def _from_tiff(data: bytes, max_pixels: int) -> DecodedImage:
    bands = read_bands(data, max_pixels=max_pixels)
    pixels, icc = bands.values, bands.icc
    alpha = pixels[..., -1] if bands.has_alpha else None
    if alpha is not None:
        pixels = pixels[..., :-1]
    if bands.is_cmyk:
        inks = np.ascontiguousarray(as_eight_bit(_checked(pixels[..., :4])))
        image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
        pixels, icc = np.asarray(_rgb_of_cmyk(image, icc)), None
        alpha = None if alpha is None else as_eight_bit(_checked(alpha))
    upright = _ORIENTATIONS.get(bands.orientation, _ORIENTATIONS[1])
    pixels = np.ascontiguousarray(upright(_checked(pixels)))
    alpha = None if alpha is None else np.ascontiguousarray(upright(_checked(alpha[..., None]))[..., 0])
    return DecodedImage(pixels, alpha, icc=icc, dpi=_usable(bands.dpi), geo=bands.geo, frames=bands.frames)


def _from_array(data: bytes, max_pixels: int) -> DecodedImage:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in _ARRAY_HEADERS:
        raise ImageError("an array of a kind that holds no image")
    shape, in_columns, dtype = _array_header(file, version)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ImageError(f"an array of shape {shape}; an image is (H, W) or (H, W, C)")
    check_size(shape[1], shape[0], max_pixels, pixel_bytes=dtype.itemsize * (shape[2] if len(shape) == 3 else 1))
    _check_kind(dtype)
    if len(data) - file.tell() < math.prod(shape) * dtype.itemsize:
        raise ImageError(TRUNCATED)
    array = np.frombuffer(data, dtype, math.prod(shape), file.tell()).reshape(shape, order="F" if in_columns else "C")
    return DecodedImage(np.array(_checked(array if array.ndim == 3 else array[..., None]), order="C"))


def _array_header(file: io.BytesIO, version: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        with _quiet():
            return _ARRAY_HEADERS[version](file)  # type: ignore[no-any-return]
    except Exception:  # whatever parsing a damaged one leads to
        raise ImageError("damaged: its header says no shape and type of an array") from None


_DECODERS: dict[str, Callable[[bytes, int], DecodedImage]] = {
    "PNG": _from_png,
    "JPEG": _from_jpeg,
    "WebP": _from_webp,
    "GIF": _from_gif,
    "BMP": lambda data, max_pixels: _with_levels(_opened(data, "BMP", max_pixels)),
    "TIFF": _from_tiff,
    "NumPy array": _from_array,
}


def _with_levels(image: Image.Image, *, frames: int = 1) -> DecodedImage:
    tiff = image.format == "TIFF"
    image.load()
    with _quiet():
        with contextlib.suppress(Exception):  # damaged EXIF says nothing
            image = ImageOps.exif_transpose(image)
        about = {**_about(image), "frames": frames}
    if tiff:
        about["exif"] = None  # its own tags, which say how the file is laid out
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        return DecodedImage(as_pixels(np.asarray(image)[..., None]), **about)
    if image.mode == "F":
        return DecodedImage(check_floats(np.asarray(image)[..., None]), **about)
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"an image of mode {image.mode!r}; convert it to 8 or 16 bit grey or RGB")
    if image.mode == "CMYK":
        return DecodedImage(np.asarray(_rgb_of_cmyk(image, about.pop("icc"))), **about)
    grey = image.mode in ("1", "L", "LA", "La")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        pixels = np.asarray(_as_mode(image, "LA" if grey else "RGBA"))
        return DecodedImage(pixels[..., :-1], pixels[..., -1], **about)
    pixels = np.asarray(_as_mode(image, "L" if grey else "RGB"))
    return DecodedImage(pixels[..., None] if grey else pixels, **about)


def _opened(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Opened by Pillow, as this format alone: others start programs, such as PostScript."""
    if max_pixels > MAX_PIXELS:  # asked for, so Pillow should allow it too
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or max_pixels, max_pixels)
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=[kind])
            if kind == "PNG" and "Raw profile type exif" not in image.info:
                image.info.setdefault("exif", b"")  # else Pillow decodes all pixels to look for it behind them
            _about(image)
    except Image.DecompressionBombError:
        raise ImageError("more pixels than are allowed; if you trust it, raise --max-megapixels") from None
    check_size(*image.size, max_pixels, pixel_bytes=len(image.getbands()))
    return image


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Python's warnings would print."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _checked(values: NDArray[Any]) -> PixelArray:
    _check_kind(values.dtype)
    if values.dtype.kind == "f":
        return check_floats(values)
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
    """By the image's own profile, where it has one that can be used."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if icc:
            own, screen = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, own, screen, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def _by_opencv(data: bytes, image: Image.Image) -> DecodedImage:
    """The colour, or 16-bit grey with alpha, of a checked PNG; Pillow is slower, and would cut 16 bit to 8."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError("damaged: its PNG data can't be decoded")
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[-1] == 3 else cv2.COLOR_BGRA2RGBA)
    with contextlib.suppress(Exception):  # damaged EXIF says nothing
        pixels = _ORIENTATIONS.get(image.getexif().get(_ORIENTATION, 1), _ORIENTATIONS[1])(pixels)
    colours = pixels[..., :1] if data[25] == 4 else pixels[..., :3]
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[-1] == 4 else None
    return DecodedImage(np.ascontiguousarray(colours), alpha, **_about(image))


_MAX_SIDE = 1_000_000  # of libpng
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
