"""GIF files: walked block by block to check the first image and count all of them, and decoding."""

from __future__ import annotations

from i2i.errors import ImageError
from i2i.images.decoded import TRUNCATED, DecodedImage
from i2i.images.pillow import from_pil, open_pillow

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_MAX_BLOCKS = 4_000_000  # that are walked, as each takes time; a frame of 178 megapixels has 700,000


def decode_gif(data: bytes, *, max_pixels: int) -> DecodedImage:
    """Decode the first image of a GIF; see `i2i.images.formats.Decode`."""
    frames = frames_in_gif(data)
    return from_pil(open_pillow(data, "GIF", max_pixels=max_pixels), frames=frames)


def frames_in_gif(data: bytes) -> int:
    """Count the images in a GIF file, without truncated ones and those behind `_MAX_BLOCKS` blocks.

    Raises:
        ImageError: the first is truncated, or there is none.
    """
    frames, blocks, at = 0, 0, 13 + _palette_bytes(data, 10)
    while at < len(data) and data[at] in (_EXTENSION, _IMAGE) and blocks < _MAX_BLOCKS:
        is_image = data[at] == _IMAGE
        at += 11 + _palette_bytes(data, at + 9) if is_image else 2
        while at < len(data) and data[at] and blocks < _MAX_BLOCKS:
            at += 1 + data[at]
            blocks += 1
        at += 1
        frames += is_image and at <= len(data)
        blocks += 1
    if not frames:
        raise ImageError("damaged: it holds no image" if data[at : at + 1] else TRUNCATED)
    return frames


def _palette_bytes(data: bytes, at: int) -> int:
    flags = data[at] if at < len(data) else 0
    return 3 * 2 ** (1 + (flags & 7)) if flags & 0x80 else 0
