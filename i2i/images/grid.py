"""Sample grids and contact sheets: images side by side under captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from i2i.files import write_whole
from i2i.images.arrays import to_pixels
from i2i.images.decoded import DecodedImage, PixelArray, as_eight_bit
from i2i.images.fonts import Font, caption_font
from i2i.images.pillow import to_pil
from i2i.images.writing import encode

_GAP, _CAPTION = 4, 22
_ROWS = 8  # in a sample grid


def save_sample_grid(path: Path, images: Any, *, domains: tuple[str, str]) -> None:
    """Write a method's images as one PNG: a row for each sample, a captioned column for each field.

    More than 8 samples take several columns per field.

    Args:
        path: a .png file.
        images: a NamedTuple; its fields that end in _a or _b, (N, C, H, W) in [-1, 1], are shown.
        domains: the names of a and b, for the captions.
    """
    names = dict(zip("ab", domains, strict=True))
    shown = [field for field in images._fields if field[-2:] in ("_a", "_b")]
    count = len(getattr(images, shown[0]))
    across = -(-count // _ROWS)
    captions: list[str] = []
    for kind, _, letter in (field.rpartition("_") for field in shown):
        captions += [f"{kind} {names[letter]}", *[""] * (across - 1)]
    blank = np.full((1, 1, 3), 255, np.uint8)
    rows = []
    for start in range(0, count, across):
        indices = range(start, start + across)
        columns = [(getattr(images, field), index) for field in shown for index in indices]
        rows.append([to_pixels(column[i].float()) if i < count else blank for column, i in columns])
    write_whole(path, encode(DecodedImage(contact_sheet(rows, captions)), ".png"))


def contact_sheet(
    rows: Sequence[Sequence[PixelArray]], captions: Sequence[str], *, side: int | None = None
) -> PixelArray:
    """Draw images side by side under captions.

    Args:
        rows: pixels of images, (H, W, C) of any depth; of more than 3 channels the first 3 are shown.
        captions: one for each image of the first row; later rows may have fewer images.
        side: scale each image so that its longer side has this many pixels.

    Returns:
        The sheet, (H, W, 3) uint8.
    """
    images = [[_thumbnail(pixels, side) for pixels in row] for row in rows]
    widths = [max(row[i].width for row in images if i < len(row)) for i in range(len(captions))]
    heights = [max(image.height for image in row) for row in images]
    size = (sum(widths) + _GAP * (len(widths) + 1), _CAPTION + sum(heights) + _GAP * (len(heights) + 1))
    sheet = Image.new("RGB", size, "white")
    starts = [_GAP * (column + 1) + sum(widths[:column]) for column in range(len(captions))]
    _write_captions(
        ImageDraw.Draw(sheet), [(x, text) for x, text in zip(starts, captions, strict=True) if text], size[0]
    )
    top = _CAPTION + _GAP
    for row, high in zip(images, heights, strict=True):
        left = _GAP
        for image, wide in zip(row, widths, strict=False):
            sheet.paste(image, (left, top))
            left += wide + _GAP
        top += high + _GAP
    return np.asarray(sheet)


def _write_captions(draw: ImageDraw.ImageDraw, captions: Sequence[tuple[int, str]], end: int) -> None:
    """Write each up to where the next begins: all of them smaller where one is too long, or else in two lines."""
    starts = [start for start, _ in captions]
    widths = [after - start - _GAP for start, after in zip(starts, [*starts[1:], end], strict=False)]
    for size in (14, 11):
        lines = [caption_font(text, size) for _, text in captions]
        if all(font.getlength(text) <= width for (text, font), width in zip(lines, widths, strict=True)):
            for start, (text, font) in zip(starts, lines, strict=True):
                draw.text((start, 3), text, fill="black", font=font)
            return
    for (start, caption), width in zip(captions, widths, strict=True):
        text, font = caption_font(caption, 10)
        words = text.split(" ")
        first = max((n for n in range(1, len(words) + 1) if font.getlength(" ".join(words[:n])) <= width), default=1)
        for top, line in ((-1, words[:first]), (9, words[first:])):
            draw.text((start, top), _cut_off(" ".join(line), font, width), fill="black", font=font)


def _cut_off(text: str, font: Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    return next((f"{text[:n]}…" for n in range(len(text), 0, -1) if font.getlength(f"{text[:n]}…") <= width), "")


def _thumbnail(pixels: PixelArray, side: int | None) -> Image.Image:
    channels = pixels.shape[-1]
    shown = pixels[..., : 3 if channels >= 3 else 1]  # of more channels the first ones
    image = to_pil(DecodedImage(as_eight_bit(shown))).convert("RGB")
    if side is None or max(image.size) == side:
        return image
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
