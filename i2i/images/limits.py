"""How large an image may be: checked before its file is read, and before it is decoded."""

from __future__ import annotations

from i2i.errors import ImageError, setting

MAX_MEGAPIXELS = 178  # beyond which Pillow also treats an image as an attack
BYTES_PER_PIXEL = 8  # of a decoded image, for each pixel that is allowed: 16-bit RGB with alpha
_EXTRA_BYTES = 64 * 2**20  # of a file, beside its pixels: profiles, text, thumbnails


def check_size(width: int, height: int, max_pixels: int, *, pixel_bytes: float = 1) -> None:
    """Refuse an image that is too large before it is decoded, as a small file may hold a huge one.

    Args:
        width: in pixels.
        height: in pixels.
        max_pixels: how many are allowed; decoded, they may take `BYTES_PER_PIXEL` bytes each.
        pixel_bytes: bytes of a decoded pixel: channels times bytes of a channel.

    Raises:
        ImageError: it has more pixels or takes more bytes.
    """
    pixels = width * height
    allowed = max_pixels * BYTES_PER_PIXEL
    needed = -(-max(pixels, int(pixels * pixel_bytes / BYTES_PER_PIXEL)) // 10**6)
    advice = f"allowed; if you trust it: {setting('max_megapixels', needed)}"
    if pixels > max_pixels:
        raise ImageError(f"{width} x {height} pixels, more than the {max_pixels / 1e6:.0f} million that are {advice}")
    if pixels * pixel_bytes > allowed:
        raise ImageError(
            f"{width} x {height} pixels of {pixel_bytes:g} bytes are {pixels * pixel_bytes / 1e6:.0f} MB, more than "
            f"the {allowed / 1e6:.0f} MB that are {advice}"
        )


def max_file_bytes(max_pixels: int) -> int:
    """The largest file that is read, in bytes: what its decoded pixels may take, and 64 MiB."""
    return max_pixels * BYTES_PER_PIXEL + _EXTRA_BYTES


def check_file_size(size: int, max_pixels: int) -> None:
    """Refuse a file that is too large before it is read.

    Raises:
        ImageError: it has more bytes than `max_file_bytes`.
    """
    if size > max_file_bytes(max_pixels):
        raise ImageError(
            f"a file of {size / 1e6:.0f} MB, more than the {max_file_bytes(max_pixels) / 1e6:.0f} MB that are allowed; "
            f"if you trust it: {setting('max_megapixels', -(-(size - _EXTRA_BYTES) // (BYTES_PER_PIXEL * 10**6)))}"
        )
