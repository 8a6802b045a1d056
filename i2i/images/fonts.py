"""Fonts for captions in any script: Pillow's own has ASCII and little else, and draws boxes for the rest."""

from __future__ import annotations

import functools
import unicodedata
from typing import TypeAlias

from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Fonts that systems come with: of many alphabets first, then of Chinese, Japanese, Korean, and of others.
_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"),
    *("Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "msyh.ttc", "msgothic.ttc", "malgun.ttf", "PingFang.ttc"),
    *("wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "Nirmala.ttf", "LeelawUI.ttf"),
)


def caption_font(text: str, size: int) -> tuple[str, Font]:
    """Return a font that has all characters of a text, and the text.

    Where no font of the system has them, the text is returned as one that Pillow's own font has: accents are left out,
    and other characters are written as escapes such as `\\u0416`.

    Args:
        text: a single line.
        size: in pixels.
    """
    plain = ImageFont.load_default(size)
    if _has_all(plain, text):
        return text, plain
    for name in _SYSTEM_FONTS:
        font = _system_font(name, size)
        if font is not None and _has_all(font, text):
            return text, font
    return "".join(character if _has_all(plain, character) else _in_ascii(character) for character in text), plain


@functools.cache
def _system_font(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _has_all(font: Font, text: str) -> bool:
    missing = _drawn(font, "\uffff")  # no character, so that a font draws what stands for those that it lacks
    return all(character == " " or _drawn(font, character) != missing for character in set(text))


def _drawn(font: Font, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


def _in_ascii(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return plain if plain.strip() else character.encode("ascii", "backslashreplace").decode("ascii")
