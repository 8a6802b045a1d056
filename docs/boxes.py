"""Boxes and arrows as SVG, in colours that are readable on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

COLUMN, ROW, WIDTH, HEIGHT, MARGIN = 160, 84, 126, 44, 10  # pixels: of the grid, and of a box
LINE = "#7f8694"
COLOURS = {"image": ("#d5ecea", "#12403c"), "network": ("#3f51b5", "#ffffff"), "loss": ("#fde3c8", "#6b3404")}
COLOURS |= {"latent": ("#e7def7", "#3d2472")}
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    'font-family="system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif" font-size="13.5">\n'
)
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>\n'
)


class Box(NamedTuple):
    """A box in a grid: an image, a network, a loss or a latent; `|` breaks its label."""

    kind: str
    label: str
    column: float
    row: float


Boxes = Mapping[str, Box]


def diagram(boxes: Boxes, arrows: Iterable[str], *, down: bool = False) -> str:
    """Boxes and arrows between them, written `from to`; from the bottom to the top of a box if `down`."""
    columns, rows = ({box[axis] for box in boxes.values()} for axis in (2, 3))
    width = int((max(columns) - min(columns)) * COLUMN + WIDTH + 2 * MARGIN)
    height = int((max(rows) - min(rows)) * ROW + HEIGHT + 2 * MARGIN)
    drawn = [_arrow(*(boxes[name] for name in arrow.split()), down=down) for arrow in arrows]
    drawn += [_box(box) for box in boxes.values()]
    left, top = min(columns) * COLUMN, min(rows) * ROW
    inside = "\n".join(drawn)
    return (
        HEAD.format(width=width, height=height)
        + ARROW_HEAD
        + f'<g transform="translate({number(MARGIN + WIDTH / 2 - left)} {number(MARGIN + HEIGHT / 2 - top)})">\n'
        + f"{inside}\n</g>\n</svg>\n"
    )


def _box(box: Box) -> str:
    fill, colour = COLOURS[box.kind]
    x, y = box.column * COLUMN, box.row * ROW
    radius = {"loss": HEIGHT / 2, "latent": HEIGHT / 2}.get(box.kind, 6)
    lines = box.label.split("|")
    texts = "".join(
        f'<text x="{number(x)}" y="{number(y + 5 + 17 * (index - (len(lines) - 1) / 2))}" text-anchor="middle" '
        f'fill="{colour}">{_escaped(line)}</text>'
        for index, line in enumerate(lines)
    )
    corner = f'x="{number(x - WIDTH / 2)}" y="{number(y - HEIGHT / 2)}"'
    return f'<rect {corner} width="{WIDTH}" height="{HEIGHT}" rx="{number(radius)}" fill="{fill}"/>{texts}'


def _arrow(start: Box, end: Box, *, down: bool) -> str:
    (x1, y1), (x2, y2) = ((box.column * COLUMN, box.row * ROW) for box in (start, end))
    if down or start.column == end.column:
        sign = math.copysign(1, y2 - y1)
        y1, y2 = y1 + sign * HEIGHT / 2, y2 - sign * (HEIGHT / 2 + 2)
        middle = (y1 + y2) / 2
        controls = (x1, middle), (x2, middle)
    else:
        sign = math.copysign(1, x2 - x1)
        x1, x2 = x1 + sign * WIDTH / 2, x2 - sign * (WIDTH / 2 + 2)
        middle = (x1 + x2) / 2
        controls = (middle, y1), (middle, y2)
    points = " ".join(f"{number(x)} {number(y)}" for x, y in (*controls, (x2, y2)))
    path = f"M{number(x1)} {number(y1)}C{points}"
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#head)"/>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
