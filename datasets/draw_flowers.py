"""Draw flowers in pen strokes, to try a sketch-to-photo model on drawings that come from no photograph.

    python datasets/draw_flowers.py data/flowers --count 12 --size 256 --seed 0

Each drawing is a few strokes as a hand draws them: petals around a centre, a stem and leaves, in black on white. The
same settings give the same files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from output import make_folder, make_parser
from tqdm import trange

from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.writing import write

Points = NDArray[np.float64]  # (N, 2), x and y; the sheet is 1 wide and 1 high
_SCALE = 4  # the drawing is made this much larger, so that lines have smooth edges


def curve(*control: tuple[float, float] | Points, points: int = 40) -> Points:
    """A Bezier curve with these control points (de Casteljau's algorithm)."""
    levels = [np.asarray(point, float)[None] for point in control]
    t = np.linspace(0, 1, points)[:, None]
    while len(levels) > 1:
        levels = [(1 - t) * first + t * second for first, second in itertools.pairwise(levels)]
    return levels[0]


def petal(angle: float, length: float, width: float, *, start: float) -> Points:
    """The outline of a petal that points away from (0, 0), from `start` to `length`."""
    out = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-out[1], out[0]]) * width
    tip, root = out * length, out * start
    middle = root + 0.6 * (tip - root)
    return np.concatenate(
        [
            curve(root, middle + across * 1.3, tip + across * 0.5, tip),
            curve(tip, tip - across * 0.5, middle - across * 1.3, root),
        ]
    )


def flower(rng: np.random.Generator) -> list[Points]:
    """The strokes of a flower on its stem."""
    centre = np.array([rng.uniform(0.42, 0.58), rng.uniform(0.38, 0.46)])
    count, length, core = int(rng.integers(5, 14)), rng.uniform(0.27, 0.36), rng.uniform(0.06, 0.1)
    width = min(0.13, 1.1 * length * np.pi / count) * rng.uniform(0.8, 1.2)
    turn = np.linspace(0, 2 * np.pi, 60)
    strokes = [centre + core * np.stack([np.cos(turn), np.sin(turn)], axis=1)]
    for index in range(count):
        angle = 2 * np.pi * (index + rng.uniform(-0.15, 0.15)) / count
        outline = centre + petal(angle, length * rng.uniform(0.85, 1.1), width, start=core)
        strokes.append(outline)
        vein = [centre + np.array([np.cos(angle), np.sin(angle)]) * length * share for share in (0.45, 0.75)]
        strokes.append(curve(*vein))
    foot = np.array([rng.uniform(0.4, 0.6), 1.02])
    top = centre + np.array([0, length * 0.9])
    bend = (top + foot) / 2 + np.array([rng.uniform(-0.08, 0.08), 0])
    sides = [np.array([side, 0]) for side in (-0.012, 0.012)]
    strokes += [curve(top + side, bend + side, foot + side) for side in sides]
    for side in (-1, 1):
        if rng.random() < 0.8:
            strokes.append(
                bend + petal(np.pi / 2 - side * rng.uniform(0.9, 1.5), rng.uniform(0.2, 0.3), 0.05, start=0.01)
            )
    return strokes


def draw(strokes: Sequence[Points], size: int, rng: np.random.Generator) -> PixelArray:
    """Draw strokes with a pen that trembles: (size, size, 3), black on white."""
    sheet = np.full((size * _SCALE, size * _SCALE), 255, np.uint8)
    pen = max(1, round(size * _SCALE * rng.uniform(1.5, 3) / 256))
    for stroke in strokes:
        tremble = cv2.GaussianBlur(rng.standard_normal((len(stroke), 2)), (1, 17), 0.1, sigmaY=4)
        path = (stroke + 0.006 * tremble) * size * _SCALE
        cv2.polylines(sheet, [np.rint(path).astype(np.int32)], isClosed=False, color=0, thickness=pen)
    small = cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA)
    return np.repeat(small[..., None], 3, axis=-1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the drawings."""
    parser = make_parser(__doc__.partition("\n\n")[0])
    parser.add_argument("output", type=Path, help="folder that is written: a new one, or an empty one")
    parser.add_argument("--count", type=int, default=12, help="number of drawings")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0, help="decides the drawings")
    options = parser.parse_args(arguments)
    if options.count < 1 or options.size < 16:
        parser.error("expected --count of 1 or more and --size of 16 or more")
    make_folder(parser, options.output)
    for number in trange(options.count, unit="drawing"):
        rng = np.random.default_rng([options.seed, number])
        pixels = draw(flower(rng), options.size, rng)
        write(DecodedImage(pixels), options.output / f"{number + 1:02d}.png")


if __name__ == "__main__":
    main()
