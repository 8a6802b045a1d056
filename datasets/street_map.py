"""A street map in the making: towns, parks, water, roads and rails in the colours of the `maps` set.

Lengths are in pixels of the finished image, angles in degrees; the colours and widths were measured on that set.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]
Points = NDArray[np.float64]  # (N, 2) x and y; one such pair too
Mask = NDArray[np.uint8]  # (H, W) or (H, W, 3), SCALE times too large

SCALE = 4  # drawn this much larger, then averaged down: that is the anti-aliasing
LAND, DOCKLAND = (232, 229, 222), (223, 218, 212)
HOME, HOME_EDGE = (243, 240, 234), (226, 223, 216)
ROAD, ROAD_EDGE, ARROW = (255, 255, 252), (217, 214, 208), (150, 150, 152)
HIGHWAY, HIGHWAY_EDGE, RAMP, RAMP_EDGE = (250, 158, 37), (226, 146, 46), (254, 224, 105), (226, 198, 120)
PARK, PITCH, PATH, SCHOOL = (203, 223, 172), (193, 218, 157), (202, 199, 187), (232, 220, 188)
WATER, SHORE, SHALLOWS, RAIL = (177, 208, 254), (164, 189, 232), (14, 15, 0), (209, 206, 200)

# Kind of homes: width along the street, gap to the next one, depth away from the street; each a range.
HOMES = {
    "rows": ((2.2, 3.1), (0.5, 1.0), (8, 12)),
    "houses": ((2.6, 4.2), (1.2, 2.3), (7, 10)),
    "lots": ((3.0, 11.0), (0.4, 1.4), (7, 15)),
}


@dataclass
class Sheet:
    """A map in the making, SCALE times too large: the ground, the roads over it, and where nothing may be built."""

    width: int
    height: int
    random: np.random.Generator

    def __post_init__(self) -> None:
        shape = (self.height * SCALE, self.width * SCALE)
        self.image: Mask = np.full((*shape, 3), LAND, np.uint8)
        self.no_homes, self.no_streets, self.edges, self.surfaces = np.zeros((4, *shape), np.uint8)
        self.over: list[tuple[Points, float, Colour]] = []  # lines to draw last: rails, highways

    def at(self, *points: tuple[float, float]) -> Points:
        """Points given as fractions of the image, each moved a little so that every seed differs."""
        jitter = self.random.uniform(-0.015, 0.015, (len(points), 2))
        return (np.array(points) + jitter) * (self.width, self.height)

    def finish(self) -> Image.Image:
        """The map at its own size; all edges go before all surfaces, so that crossings stay open."""
        self.image[self.edges > 0] = ROAD_EDGE
        self.image[self.surfaces > 0] = ROAD
        for line, width, colour in self.over:
            stroke(self.image, line, width, colour)
        return Image.fromarray(cv2.resize(self.image, (self.width, self.height), interpolation=cv2.INTER_AREA))


def town(sheet: Sheet, *, angle: float, block: tuple[float, float], homes: str, inside: Points | None = None) -> None:
    """Streets and homes on a turned, slightly bent grid, wherever the sheet is still free."""
    random, reach = sheet.random, 0.75 * float(np.hypot(sheet.width, sheet.height))
    turn = np.deg2rad(angle + random.uniform(-3, 3))
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    phase, middle = random.uniform(0, 6.28, 2), np.array((sheet.width, sheet.height)) / 2
    outside = np.zeros_like(sheet.no_homes)
    if inside is not None:
        fill(outside, inside, 1)
        outside = 1 - outside

    def on_sheet(points: list[tuple[float, float]]) -> Points:
        bent = np.array(points) + 2.5 * np.sin(np.array(points)[:, ::-1] / 45 + phase)
        turned: Points = bent @ axes + middle
        return turned

    streets = [(u, random.choice((3.2, 3.6, 4.0))) for u in _ticks(random, reach, block[0])]
    avenues = [(v, random.choice((3.6, 4.4, 5.8))) for v in _ticks(random, reach, block[1])]
    lines = [(on_sheet([(u, v) for v in np.arange(-reach, reach, 12)]), width) for u, width in streets]
    closed, arrows = sheet.no_homes | outside, []
    for (u0, left), (u1, right) in pairwise(streets):
        kept = [avenue for avenue in avenues if avenue[1] == 5.8 or random.random() < 0.9]
        for (v0, top), (v1, bottom) in pairwise(kept):
            lines.append((on_sheet([(u, v0) for u in np.linspace(u0, u1, 5)]), top))
            if random.random() < 0.6:
                arrows.append(on_sheet([(u0, (v0 + v1) / 2 - 2), (u0, (v0 + v1) / 2 + 2)]))
            a, b, c, d = u0 + left / 2 + 1.3, u1 - right / 2 - 1.3, v0 + top / 2 + 1.3, v1 - bottom / 2 - 1.3
            fill_block(sheet, on_sheet([(a, c), (b, c), (b, d), (a, d)]), homes, closed)
    for mask, extra in ((sheet.edges, 1.0), (sheet.surfaces, 0.0)):
        drawn = np.zeros_like(mask)
        for line, width in lines:
            stroke(drawn, line, width + extra, 1)
        mask |= drawn & ~(sheet.no_streets | outside)
    sheet.over.extend((arrow, 0.6, ARROW) for arrow in arrows if _free(sheet.no_streets | outside, arrow))


def fill_block(sheet: Sheet, corners: Points, homes: str, closed: Mask) -> None:
    """Build on one block: rows of homes along its edges, halls, slabs, or now and then a park or a school."""
    random = sheet.random
    a, b, c, d = corners
    across, along = float(np.linalg.norm(b - a)), float(np.linalg.norm(d - a))
    x, y = (b - a) / across, (d - a) / along
    special = random.random()
    if special < 0.03 and _free(closed, corners):
        fill(sheet.image, np.array([a, b, b + y * along * 0.4, a + y * along * 0.4]), PARK)
        a, b, along = a + y * along * 0.45, b + y * along * 0.45, along * 0.55
    elif special < 0.05 and _free(closed, corners):
        fill(sheet.image, corners, SCHOOL)
        homes = "halls"
    elif special < 0.08:
        homes = "halls"
    if homes not in HOMES:
        {"halls": halls, "slabs": slabs}[homes](sheet, np.array([a, b, c, d]), closed)
        return
    deep = min(random.uniform(*HOMES[homes][2]), across * 0.44)
    top, bottom = (deep * (random.random() < 0.5) for _ in range(2))
    for start, end, inward in ((a + y * top, d - y * bottom, x), (b + y * top, c - y * bottom, -x)):
        row(sheet, start, end, inward, homes, deep, closed)
    for start, end, inward, wanted in ((a, b, y, top), (d, c, -y, bottom)):
        if wanted:
            row(sheet, start, end, inward, homes, deep * 0.9, closed)


def halls(sheet: Sheet, corners: Points, closed: Mask) -> None:
    """Large buildings side by side, some with a lower one behind."""
    random, (a, b, _, d) = sheet.random, corners
    across, along = float(np.linalg.norm(b - a)), float(np.linalg.norm(d - a))
    x, y, done = (b - a) / across, (d - a) / along, 1.5
    while done + 8 < along:
        deep, width = min(random.uniform(12, 34), along - done - 1), across * random.uniform(0.62, 0.94)
        build(sheet, (a + x * 1.5 + y * done, x * width, y * deep), closed)
        if random.random() < 0.5:
            build(sheet, (a + x * (width + 2) + y * done, x * (across - width - 3), y * deep * 0.6), closed)
        done += deep + random.uniform(0.6, 5)


def slabs(sheet: Sheet, corners: Points, closed: Mask) -> None:
    """Blocks of flats on open ground, straight or with a wing."""
    random, (a, b, _, d) = sheet.random, corners
    across, along = float(np.linalg.norm(b - a)), float(np.linalg.norm(d - a))
    x, y, turn = (b - a) / across, (d - a) / along, random.choice((0.0, 0.7))
    one, two = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    for down in np.arange(4, along - 18, 24):
        for side in np.arange(9, across - 16, 25):
            corner = a + y * (down + random.uniform(-2, 2)) + x * (side + random.uniform(-2, 2))
            build(sheet, (corner, one * random.uniform(12, 18), two * 4.5), closed)
            if random.random() < 0.5:
                build(sheet, (corner + one * random.choice((0, 5)), one * 4.5, two * random.uniform(9, 14)), closed)


def row(sheet: Sheet, start: Points, end: Points, inward: Points, homes: str, deep: float, closed: Mask) -> None:
    """Homes side by side from start to end, facing a street."""
    random, length = sheet.random, float(np.linalg.norm(end - start))
    along, (widths, gaps, _) = (end - start) / max(length, 1e-6), HOMES[homes]
    width, gap, setback, done = random.uniform(*widths), random.uniform(*gaps), random.uniform(0.6, 2.4), 0.0
    while done + width < length:
        depth = deep * random.uniform(0.82, 1.0)
        corner = start + along * done + inward * (setback + random.uniform(0, 0.5))
        if random.random() > 0.05:
            build(sheet, (corner, along * width, inward * (depth - setback)), closed)
        done += width + gap
        if homes == "lots" or random.random() < 0.06:
            width, gap = random.uniform(*widths), random.uniform(*gaps)
            deep *= random.uniform(0.92, 1.07)


def build(sheet: Sheet, box: tuple[Points, Points, Points], closed: Mask) -> None:
    """One footprint, a corner and its two sides, unless something is in the way."""
    corner, one, two = box
    corners = np.array([corner, corner + one, corner + one + two, corner + two])
    if _free(closed, corners):
        stroke(sheet.image, np.concatenate([corners, corners[:1]]), 0.8, HOME_EDGE)
        fill(sheet.image, corners, HOME)


def water(sheet: Sheet, outline: Points) -> None:
    """Water, darker towards its shore."""
    wet = np.zeros_like(sheet.no_homes)
    fill(wet, outline, 1)
    depth = cv2.distanceTransform(wet, cv2.DIST_L2, 5)[..., None]
    near = np.clip(1 - depth / (7 * SCALE), 0, 1) ** 1.5
    colour = np.where(depth < SCALE, SHORE, np.array(WATER) - near * SHALLOWS)
    sheet.image[wet > 0] = np.rint(colour).astype(np.uint8)[wet > 0]
    _close(sheet, outline)


def green(sheet: Sheet, outline: Points) -> None:
    """A park."""
    fill(sheet.image, outline, PARK)
    _close(sheet, outline)


def road(sheet: Sheet, line: Points, width: float) -> None:
    """A road that streets run into and that keeps homes away."""
    stroke(sheet.edges, line, width + 1.0, 1)
    stroke(sheet.surfaces, line, width, 1)
    stroke(sheet.no_homes, line, width + 3, 1)


def verge(sheet: Sheet, line: Points, width: float) -> None:
    """Keep a strip free of homes and streets."""
    stroke(sheet.no_homes, line, width + 3, 1)
    stroke(sheet.no_streets, line, width, 1)


def highway(sheet: Sheet, line: Points, width: float, surface: Colour = HIGHWAY, edge: Colour = HIGHWAY_EDGE) -> None:
    """A highway over everything drawn before; a wide one shows the line between its directions."""
    sheet.over += [(line, width + 0.8, edge), (line, width, surface)]
    if width > 7:
        sheet.over.append((line, 0.5, edge))


def overpass(sheet: Sheet, line: Points, width: float) -> None:
    """A road over a highway."""
    sheet.over += [(line, width + 1.0, ROAD_EDGE), (line, width, ROAD)]


def railway(sheet: Sheet, line: Points) -> None:
    """A thin grey line with ties far apart."""
    sheet.over.append((line, 0.9, RAIL))
    for one, two in zip(line[::3], line[1::3], strict=False):
        across = (two - one)[::-1] * (-1, 1) / np.linalg.norm(two - one) * 1.6
        sheet.over.append((np.array([one - across, one + across]), 0.5, RAIL))


def curve(points: Points, *, closed: bool = False) -> Points:
    """A smooth line through the points, or round through them: a Catmull-Rom spline, 12 steps from each to the next."""
    ends = (points[-1:], points[:2]) if closed else (2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1])
    p = np.concatenate([ends[0], points, ends[1]])
    t = (np.arange(12) / 12)[:, None]
    weights = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
    pieces = [sum(w * q for w, q in zip(weights, p[i : i + 4], strict=True)) for i in range(len(p) - 3)]
    return np.concatenate([*pieces, p[-2:-1]])


def moved(line: Points, x: float, y: float) -> Points:
    """The same line elsewhere."""
    there: Points = line + np.array((x, y))
    return there


def ring(sheet: Sheet, centre: tuple[float, float], radius: float) -> Points:
    """A closed, soft, uneven outline."""
    turns = np.linspace(0, 2 * np.pi, 8)[:-1] + sheet.random.uniform(0, 1)
    radii = radius * sheet.random.uniform(0.65, 1.3, 7)
    around = np.stack([1.25 * np.cos(turns), np.sin(turns)], axis=1) * radii[:, None]
    return curve(around + np.array(centre) * (sheet.width, sheet.height), closed=True)


def fill(image: Mask, corners: Points, colour: Colour | int) -> None:
    """Fill an area."""
    cv2.fillPoly(image, [_fixed(corners)], colour, shift=4)


def stroke(image: Mask, line: Points, width: float, colour: Colour | int) -> None:
    """Draw an open line."""
    cv2.polylines(image, [_fixed(line)], False, colour, max(1, round(width * SCALE)), shift=4)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Points as cv2 takes them: whole sixteenths of a pixel of the large image."""
    return np.rint(np.asarray(points) * SCALE * 16).astype(np.int32)


def _free(closed: Mask, corners: Points) -> bool:
    """Whether the corners and their middle are on the sheet's open ground; off the sheet counts as open."""
    spots = np.rint(np.concatenate([corners, corners.mean(axis=0, keepdims=True)]) * SCALE).astype(int)
    within = np.all((spots >= 0) & (spots < closed.shape[::-1]), axis=1)
    return not closed[spots[within, 1], spots[within, 0]].any()


def _close(sheet: Sheet, outline: Points) -> None:
    for mask in (sheet.no_homes, sheet.no_streets):
        fill(mask, outline, 1)


def _ticks(random: np.random.Generator, reach: float, step: float) -> list[float]:
    """Positions of streets from -reach to reach, about a step apart."""
    ticks = [-reach - random.uniform(0, step)]
    while ticks[-1] < reach:
        ticks.append(ticks[-1] + step * random.uniform(0.86, 1.14))
    return ticks
