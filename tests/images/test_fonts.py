"""Fonts for captions."""

import pytest
from PIL import ImageFont

from i2i.images.fonts import caption_font


def test_ascii_is_drawn_in_the_font_of_pillow():
    text, font = caption_font("real map", 14)
    assert text == "real map"
    assert font.getname() == ImageFont.load_default(14).getname()


@pytest.mark.parametrize("text", ["real карта", "fake Süß", "cycled Ελλάδα"])
def test_a_font_of_the_system_draws_what_that_of_pillow_lacks(text):
    try:
        ImageFont.truetype("DejaVuSans.ttf", 14)
    except OSError:
        pytest.skip("this system has no DejaVu Sans")
    found, font = caption_font(text, 14)
    assert found == text
    assert font.getname()[0] == "DejaVu Sans"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("été Ünal", "ete Unal"),
        ("№ 1", "No 1"),
        ("карта", r"\u043a\u0430\u0440\u0442\u0430"),
        ("地", r"\u5730"),
    ],
)
def test_without_such_a_font_accents_are_left_out_and_other_letters_escaped(monkeypatch, text, plain):
    monkeypatch.setattr("i2i.images.fonts._SYSTEM_FONTS", ())
    assert caption_font(text, 14)[0] == plain
