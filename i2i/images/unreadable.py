"""Names of formats that i2i doesn't read, by the first bytes of a file or by its suffix, for error messages."""

from __future__ import annotations

_CONVERT = "; convert it to PNG or TIFF first"
_RAW = "a camera's raw image; develop it to TIFF or JPEG first"
_STARTS = {
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

_SUFFIXES = {
    "HEIC": {".heic", ".heif", ".hif", ".heics", ".heifs"},
    "AVIF": {".avif", ".avifs"},
    "JPEG XL": {".jxl"},
    "JPEG 2000": {".jp2", ".j2k", ".jpx", ".jpf", ".j2c"},
    "Photoshop": {".psd", ".psb"},
    "OpenEXR": {".exr"},
    "Radiance HDR": {".hdr"},
    "raw camera": {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"},
    "Netpbm": {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"},
    "TGA": {".tga"},
    "SVG": {".svg", ".svgz"},
    "JFIF": {".jfif"},
}
_NAMES = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}


def unreadable_format(suffix: str) -> str | None:
    """Return the name of a format of images that i2i doesn't read, such as "HEIC", by its suffix; None of others."""
    return _NAMES.get(suffix.lower())


def content_name(head: bytes) -> str:
    """Describe a file that i2i doesn't read, and what to do with it, by its first bytes; "" if unknown."""
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4], "big"), 64), 4)}
        return next((name for name, known in _BRANDS.items() if brands.intersection(known)), "")
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        return _RAW
    for start, name in _STARTS.items():
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
