"""What a file is, by its first bytes, and how many bytes of it may be read and decoded."""

from __future__ import annotations

from i2i.errors import ImageError

HEAD = 512  # bytes that say what a file is
BYTES_PER_PIXEL = 8  # of a decoded image, for each pixel that is allowed: 16-bit RGB with alpha
_EXTRA_BYTES = 64 * 2**20  # of a file, beside its pixels: profiles, text, thumbnails

TRUNCATED = "truncated: the file ends before its image does"
_NOT_READABLE = "not an image that can be read"
_CONVERT = "; convert it to PNG or TIFF first"

_READABLE = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "NumPy array",
}
_RAW = "a camera's raw image; develop it to TIFF or JPEG first"
_NAMED = {
    b"8BPS": "a Photoshop file" + _CONVERT,
    b"%PDF-": "a PDF; convert its pages to PNG first",
    b"%!PS": "PostScript" + _CONVERT,
    b"\0\0\0\x0cJXL ": "JPEG XL" + _CONVERT,
    b"\xff\x0a": "JPEG XL" + _CONVERT,
    b"\0\0\0\x0cjP  ": "JPEG 2000" + _CONVERT,
    b"\xff\x4f\xff\x51": "JPEG 2000" + _CONVERT,
    b"v/1\x01": "OpenEXR; save it as a float TIFF in [0, 1] first",
    b"#?RADIANCE": "a Radiance HDR image; save it as a float TIFF in [0, 1] first",
    b"qoif": "a QOI image" + _CONVERT,
    b"DDS ": "a DDS texture" + _CONVERT,
    b"gimp xcf": "a GIMP file" + _CONVERT,
    b"SIMPLE  =": "a FITS image; save it as a float TIFF in [0, 1] first",
    b"FUJIFILMCCD-RAW": _RAW,
    b"IIRO": _RAW,
    b"IIRS": _RAW,
    b"IIU\0": _RAW,
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"PK\x03\x04": "a ZIP archive (as .npz is); unpack it first",
    b"version https://git-lfs": "a Git LFS pointer in place of the file; run: git lfs pull",
}
_BRANDS = {
    "AVIF" + _CONVERT: (b"avif", b"avis"),
    "HEIC" + _CONVERT: (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    _RAW: (b"crx ",),
    "a video; extract its frames first": (b"isom", b"mp41", b"mp42", b"qt  ", b"avc1", b"M4V "),
}


def format_of(head: bytes) -> str:
    """The format of a file that i2i reads, such as "PNG", by its first `HEAD` bytes.

    Raises:
        ImageError: it is empty or no image that i2i reads; the message names what it is, where that can be told.
    """
    if not head:
        raise ImageError("an empty file")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        raise ImageError(f"{_NOT_READABLE}: {_RAW}")
    for start, name in _READABLE.items():
        if head.startswith(start):
            return name
    name = _unreadable(head)
    raise ImageError(f"{_NOT_READABLE}: {name}" if name else _NOT_READABLE)


def _unreadable(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4], "big"), 64), 4)}
        return next((name for name, known in _BRANDS.items() if brands.intersection(known)), "")
    for start, name in _NAMED.items():
        if head.startswith(start):
            return name
    if head[128:132] == b"DICM":
        return "a DICOM image" + _CONVERT
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "an SVG drawing; render it to PNG first"
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, as failed downloads leave it"
    if text and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in text):
        return "text"
    return ""


def check_size(width: int, height: int, max_pixels: int, *, pixel_bytes: float = 1) -> None:
    """Refuse an image that is too large before it is decoded, as a small file may hold a huge one.

    Args:
        width: in pixels.
        height: in pixels.
        max_pixels: how many are allowed; decoded, they may take `BYTES_PER_PIXEL` bytes each.
        pixel_bytes: what a pixel of this image takes: channels times bytes of a level.

    Raises:
        ImageError: it has more pixels or takes more bytes.
    """
    pixels = width * height
    allowed = max_pixels * BYTES_PER_PIXEL
    needed = -(-max(pixels, int(pixels * pixel_bytes / BYTES_PER_PIXEL)) // 10**6)
    advice = f"allowed; if you trust it: --max-megapixels {needed}"
    if pixels > max_pixels:
        raise ImageError(f"{width} x {height} pixels, more than the {max_pixels / 1e6:.0f} million that are {advice}")
    if pixels * pixel_bytes > allowed:
        raise ImageError(
            f"{width} x {height} pixels of {pixel_bytes:g} bytes are {pixels * pixel_bytes / 1e6:.0f} MB, more than "
            f"the {allowed / 1e6:.0f} MB that are {advice}"
        )


def max_file_bytes(max_pixels: int) -> int:
    """How large a file may be: as its decoded pixels may, and `_EXTRA_BYTES`."""
    return max_pixels * BYTES_PER_PIXEL + _EXTRA_BYTES


def check_file_size(size: int, max_pixels: int) -> None:
    """Refuse a file that is too large before it is read.

    Raises:
        ImageError: it has more bytes than `max_file_bytes`.
    """
    if size > max_file_bytes(max_pixels):
        raise ImageError(
            f"a file of {size / 1e6:.0f} MB, more than the {max_file_bytes(max_pixels) / 1e6:.0f} MB that are allowed; "
            f"if you trust it: --max-megapixels {-(-(size - _EXTRA_BYTES) // (BYTES_PER_PIXEL * 10**6))}"
        )
