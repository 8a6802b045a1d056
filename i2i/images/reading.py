"""Reading of image files."""

from __future__ import annotations

import os
from pathlib import Path

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED, DecodedImage
from i2i.images.formats import HEAD, format_of, readable_suffixes
from i2i.images.limits import MAX_MEGAPIXELS, check_file_size, max_file_bytes


def read(
    source: str | Path | bytes, *, max_megapixels: float = MAX_MEGAPIXELS, name: str = "these bytes"
) -> DecodedImage:
    """Read an image file, or its bytes: EXIF orientation applied, palettes and CMYK turned into RGB.

    Its first bytes say what it is, not its suffix. Of several frames or pages the first is read.

    Args:
        source: the file or its bytes: PNG, JPEG, WebP, TIFF, BMP, GIF, or an array (H, W) or (H, W, C) as .npy.
        max_megapixels: refuse what has more million pixels, before it is decoded.
        name: of bytes, for messages.

    Raises:
        ImageError: there is no such file, or it isn't an image that can be read; the message names it and says why.
    """
    max_pixels = round(max_megapixels * 10**6)
    name = name if isinstance(source, bytes) else str(source)
    try:
        return _decode(source if isinstance(source, bytes) else _contents(Path(source), max_pixels), max_pixels)
    except ImageError as error:
        raise ImageError(f"{name}: {error.args[0]}") from None
    except MemoryError:
        raise ImageError(f"{name}: there is not enough memory to decode it") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, sorted by path; hidden ones are left out."""
    suffixes = readable_suffixes()
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and _is_file(path)
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may be listed but not entered: `read` says so
        return True


def _contents(path: Path, max_pixels: int) -> bytes:
    """The bytes of a file, unless its first ones or its size say that it isn't a readable image."""
    with path.open("rb") as file:
        format_of(file.peek(HEAD)[:HEAD])
        size = os.fstat(file.fileno()).st_size
        check_file_size(size, max_pixels)
        data = file.read((size or max_file_bytes(max_pixels)) + 1)  # a pipe has no size, and may never end
        check_file_size(len(data), max_pixels)
        return data


def _decode(data: bytes, max_pixels: int) -> DecodedImage:
    image_format = format_of(data[:HEAD])
    try:
        return image_format.decode(data, max_pixels=max_pixels)
    except (ImageError, MemoryError):
        raise
    except EOFError:
        raise ImageError(TRUNCATED) from None
    except Exception as error:  # decoders raise all kinds of errors on damaged files
        truncated = any(word in str(error).lower() for word in ("truncat", "not enough", "unexpected end"))
        raise ImageError(
            TRUNCATED if truncated else f"damaged: its {image_format.name} data can't be decoded"
        ) from None
