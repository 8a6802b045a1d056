"""Draw label images of facades, to try a label-to-photo model on buildings that nobody photographed.

    python datasets/draw_facades.py data/facades --count 12 --size 256 --seed 0

The classes and their colours are those of the CMP facades (Tylecek and Sara 2013). The same settings give the same
files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from output import make_folder, make_parser
from tqdm import trange

from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.writing import write

BACKGROUND = (0, 0, 222)
WALL = (0, 48, 255)
WINDOW = (0, 128, 255)
DOOR = (0, 207, 255)
CORNICE = (32, 255, 224)
SILL = (112, 255, 143)
BALCONY = (192, 255, 63)
BLIND = (255, 240, 0)
DECORATION = (255, 159, 0)
MOLDING = (255, 80, 0)
PILLAR = (255, 0, 0)
SHOP = (174, 0, 0)

Colour = tuple[int, int, int]


class Sheet:
    """A label image, 1 wide and 1 high."""

    def __init__(self, size: int) -> None:
        self.pixels = np.full((size, size, 3), BACKGROUND, np.uint8)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle; parts outside the sheet are left out."""
        size = len(self.pixels)
        x0, y0, x1, y1 = (max(0, round(side * size)) for side in (left, top, right, bottom))
        self.pixels[y0:y1, x0:x1] = colour


def draw(size: int, rng: np.random.Generator) -> PixelArray:
    """Draw the labels of a facade: (size, size, 3)."""
    sheet = Sheet(size)
    left, right = rng.uniform(0, 0.12), 1 - rng.uniform(0, 0.12)
    top, bottom = rng.uniform(0.02, 0.14), rng.uniform(0.94, 1)
    sheet.box(left, top, right, bottom, WALL)
    sheet.box(left, top, right, top + rng.uniform(0.04, 0.08), MOLDING)
    floors, columns = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    height, width = (bottom - top - 0.1) / floors, (right - left) / columns
    styles = [_style(rng) for _ in range(floors)]  # all windows of a floor are alike
    for floor in range(floors):
        above = top + 0.1 + floor * height
        if floor == floors - 1:
            _ground_floor(sheet, left, right, above, bottom, columns, rng)
            continue
        for column in range(columns):
            _window(sheet, left + column * width, above, width, height, styles[floor])
        if rng.random() < 0.4:
            sheet.box(left, above + 0.92 * height, right, above + height, MOLDING)
    if rng.random() < 0.4:
        for column in (1, columns - 1):
            middle = left + column * width
            sheet.box(middle - 0.015, top + 0.1, middle + 0.015, bottom - height, PILLAR)
    return sheet.pixels


def _style(rng: np.random.Generator) -> dict[Colour, bool]:
    shares = {CORNICE: 0.5, SILL: 0.6, BALCONY: 0.25, BLIND: 0.3, DECORATION: 0.25}
    return {part: bool(rng.random() < share) for part, share in shares.items()}


def _window(sheet: Sheet, left: float, top: float, width: float, height: float, style: dict[Colour, bool]) -> None:
    """A window in the middle of its cell, with what its floor has."""
    x0, x1 = left + 0.28 * width, left + 0.72 * width
    y0, y1 = top + 0.18 * height, top + 0.74 * height
    sheet.box(x0, y0, x1, y1, WINDOW)
    if style[BLIND]:
        sheet.box(x0 - 0.1 * width, y0, x0 + 0.04 * width, y1, BLIND)
        sheet.box(x1 - 0.04 * width, y0, x1 + 0.1 * width, y1, BLIND)
    if style[CORNICE]:
        sheet.box(x0 - 0.08 * width, y0 - 0.1 * height, x1 + 0.08 * width, y0 - 0.02 * height, CORNICE)
    if style[DECORATION]:
        sheet.box(x0 + 0.15 * width, y0 - 0.06 * height, x1 - 0.15 * width, y0 + 0.04 * height, DECORATION)
    if style[BALCONY]:
        sheet.box(x0 - 0.12 * width, y1 - 0.2 * height, x1 + 0.12 * width, y1 + 0.08 * height, BALCONY)
    elif style[SILL]:
        sheet.box(x0 - 0.06 * width, y1, x1 + 0.06 * width, y1 + 0.06 * height, SILL)


def _ground_floor(
    sheet: Sheet, left: float, right: float, top: float, bottom: float, columns: int, rng: np.random.Generator
) -> None:
    """A door between windows or shops."""
    width, height, door = (right - left) / columns, bottom - top, int(rng.integers(0, columns))
    shops = rng.random() < 0.5
    sheet.box(left, top, right, top + 0.08 * height, MOLDING)
    for column in range(columns):
        at = left + column * width
        if column == door:
            sheet.box(at + 0.22 * width, top + 0.2 * height, at + 0.78 * width, bottom, DOOR)
        elif shops:
            sheet.box(at + 0.06 * width, top + 0.2 * height, at + 0.94 * width, bottom, SHOP)
        else:
            sheet.box(at + 0.28 * width, top + 0.3 * height, at + 0.72 * width, top + 0.75 * height, WINDOW)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the label images."""
    parser = make_parser(__doc__.partition("\n\n")[0])
    parser.add_argument("output", type=Path, help="folder that is written: a new one, or an empty one")
    parser.add_argument("--count", type=int, default=12, help="number of facades")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0, help="decides the facades")
    options = parser.parse_args(arguments)
    if options.count < 1 or options.size < 16:
        parser.error("expected --count of 1 or more and --size of 16 or more")
    make_folder(parser, options.output)
    for number in trange(options.count, unit="facade"):
        pixels = draw(options.size, np.random.default_rng([options.seed, number]))
        write(DecodedImage(pixels), options.output / f"{number + 1:02d}.png")


if __name__ == "__main__":
    main()
