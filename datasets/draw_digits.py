"""Draw handwritten-looking digits, white on black: a small data set to try class-conditional methods on.

    python datasets/draw_digits.py data/digits --count 500 --size 32 --seed 0

No font and no third-party image is used: a digit is a few pen strokes, bent at random for each file. The same seed
draws the same files; a larger count only adds to them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from output import make_folder, make_parser
from PIL import Image
from street_map import Points, curve
from tqdm import tqdm

SCALE = 8  # drawn this much larger, then averaged down: that is the anti-aliasing

# The ways to write 0 to 9: how often, and the strokes of the pen in order, separated by slashes. A point is x,y in
# hundredths of the digit's height, from its top left corner; a point that comes twice is a corner.
WAYS: tuple[tuple[tuple[int, str], ...], ...] = (
    (
        (2, "40,2 14,20 4,54 16,88 38,98 58,80 65,48 56,14 38,1 24,12"),
        (2, "52,8 30,1 9,24 4,60 19,94 43,96 62,68 60,30 46,6"),
        (1, "26,4 8,30 4,66 22,97 48,90 64,58 60,20 38,0 14,14"),
    ),
    (
        (6, "30,0 30,34 30,67 30,100"),
        (3, "14,19 23,12 31,1 31,1 31,50 30,100"),
        (1, "10,24 32,2 32,2 32,50 31,98 / 6,99 30,98 58,97"),
    ),
    (
        (3, "6,22 20,4 43,2 57,20 50,46 29,73 5,96 5,96 33,94 66,96"),
        (2, "8,20 26,2 50,8 54,32 39,63 17,93 3,90 13,78 34,86 52,96 70,88"),
        (1, "4,10 30,1 56,14 50,44 30,70 10,92 10,92 36,90 60,99"),
    ),
    (
        (3, "6,13 27,0 51,9 51,31 24,47 24,47 48,53 59,74 46,95 22,100 1,89"),
        (2, "8,11 30,0 53,13 46,36 28,47 20,44 30,42 52,56 57,80 37,98 3,92"),
        (1, "6,4 29,3 55,2 55,2 25,40 25,40 50,49 59,73 41,97 3,92"),
    ),
    (
        (3, "12,4 8,29 5,54 5,54 30,54 64,50 / 54,10 52,50 49,100"),
        (2, "50,2 28,29 3,62 3,62 34,62 70,60 / 50,2 50,50 48,100"),
        (2, "10,4 5,34 15,52 36,50 54,33 58,5 58,5 54,50 51,100"),
        (1, "48,100 50,50 52,2 52,2 27,29 4,58 4,58 32,58 68,55"),
    ),
    (
        (3, "18,4 12,42 12,42 36,37 58,54 56,82 32,99 4,91 / 18,4 40,4 64,1"),
        (2, "64,2 42,4 20,5 20,5 13,44 13,44 40,44 56,66 42,94 4,96"),
    ),
    (
        (3, "50,2 25,19 8,50 7,82 26,99 50,90 54,67 37,55 15,66 8,80"),
        (2, "34,0 16,31 5,67 14,94 36,98 52,81 44,61 26,60 10,77"),
    ),
    (
        (4, "0,9 31,6 63,4 63,4 46,38 36,68 30,100"),
        (2, "0,9 31,6 63,4 63,4 44,40 27,99 / 16,52 36,50 60,48"),
        (2, "1,24 3,8 3,8 33,7 65,5 65,5 50,36 43,66 42,100"),
    ),
    (
        (3, "54,14 33,1 11,15 20,37 43,57 53,82 31,99 9,86 16,60 40,38 54,12"),
        (2, "34,46 12,32 17,7 39,2 52,22 34,46 12,65 10,90 33,100 54,84 34,46"),
        (1, "50,4 26,6 14,24 36,46 54,70 42,96 16,96 10,74 30,48 52,22 56,8"),
    ),
    (
        (3, "53,12 34,1 11,16 9,41 32,49 51,31 55,8 55,8 53,50 50,100"),
        (2, "50,6 24,4 6,26 18,48 42,42 54,18 56,46 46,84 24,99 4,91"),
        (2, "54,18 40,2 16,10 8,34 24,46 46,32 56,10 48,46 38,72 26,100"),
    ),
)


def draw_digit(digit: int, size: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One digit in one hand, (size, size) grey."""
    often, ways = zip(*WAYS[digit], strict=True)
    strokes = ways[random.choice(len(ways), p=np.array(often) / sum(often))].split("/")
    points = [np.array([point.split(",") for point in stroke.split()], float) / 100 for stroke in strokes]
    lines = handwriting(points, random)
    width = size * np.clip(random.normal(0.085, 0.018), 0.045, 0.13)
    low, high = (end(np.concatenate(lines), axis=0) for end in (np.min, np.max))
    large = (size * random.uniform(0.66, 0.76) - width) / max(high - low)
    middle = 0.5 * centre_of_mass(lines) + 0.25 * (low + high)
    image = np.zeros((size * SCALE, size * SCALE), np.uint8)
    for line in lines:
        ink(image, (line - middle) * large + size / 2, width, random)
    soft = cv2.GaussianBlur(image, (0, 0), SCALE * random.uniform(0.2, 0.5) * size / 32)
    grey = cv2.resize(soft, (size, size), interpolation=cv2.INTER_AREA).astype(np.float64)
    return np.rint(np.minimum(grey * random.uniform(1.0, 1.25), 255)).astype(np.uint8)


def handwriting(strokes: list[Points], random: np.random.Generator) -> list[Points]:
    """The strokes as someone would write them: points off their places, then slant, turn, stretch and a smooth warp."""
    loose = random.uniform(0.008, 0.032)
    slant, turn = min(random.normal(-0.16, 0.2), 0.14), np.deg2rad(random.normal(0, 5))
    shape = np.array([[random.uniform(0.75, 1.3), 0], [slant, 1]])
    shape = shape @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    waves, phases = random.uniform(-6, 6, (3, 2)), random.uniform(0, 2 * np.pi, 3)
    pushes = random.normal(0, 0.022, (3, 2))
    lines = []
    for stroke in strokes:
        off = random.normal(0, loose, stroke.shape)
        off[[0, -1]] *= 1.6
        line = curve(stroke + off)
        lines.append((line + np.sin(line @ waves.T + phases) @ pushes) @ shape)
    return lines


def centre_of_mass(lines: list[Points]) -> Points:
    """The middle of the ink, as lines of one width have it."""
    middles = np.concatenate([(line[1:] + line[:-1]) / 2 for line in lines])
    lengths = np.concatenate([np.linalg.norm(np.diff(line, axis=0), axis=1) for line in lines])
    centre: Points = np.average(middles, axis=0, weights=lengths)
    return centre


def ink(image: NDArray[np.uint8], line: Points, width: float, random: np.random.Generator) -> None:
    """Draw a line on the large image, with a pressure that swells and fades along it."""
    along = np.linspace(0, 1, len(line))
    pressure = 1 + random.uniform(0, 0.16) * np.sin(along * random.uniform(2, 9) + random.uniform(0, 2 * np.pi))
    pressure *= 1 - random.uniform(0, 0.4) * np.clip(1 - (1 - along) / 0.2, 0, 1)  # the pen lifts at the end
    fixed = np.rint(line * SCALE * 16).astype(np.int32)
    for one, two, wide in zip(fixed[:-1], fixed[1:], width * pressure * SCALE, strict=False):
        cv2.line(image, one.tolist(), two.tolist(), 255, max(1, round(wide)), shift=4)


def main() -> None:
    """Parse the arguments and draw the digits."""
    parser = make_parser("Draw handwritten-looking digits, white on black: a folder of images for each digit.")
    parser.add_argument("folder", type=Path, help="output folder, new or empty; gets folders 0 to 9")
    parser.add_argument("--count", type=int, default=500, help="images of each digit")
    parser.add_argument("--size", type=int, default=32, help="width and height of the images, in pixels")
    parser.add_argument("--seed", type=int, default=0, help="random seed; a different seed draws different digits")
    args = parser.parse_args()
    if args.count < 1 or args.size < 8 or args.seed < 0:
        parser.error(
            f"--count {args.count} --size {args.size} --seed {args.seed}: "
            "expected a count of 1 or more, a size of 8 or more and a seed of 0 or more"
        )
    make_folder(parser, args.folder)
    with tqdm(total=10 * args.count, unit="digit") as progress:
        for digit in range(10):
            (args.folder / str(digit)).mkdir()
            for index in range(args.count):
                image = draw_digit(digit, args.size, np.random.default_rng([args.seed, digit, index]))
                Image.fromarray(image).save(args.folder / str(digit) / f"{index + 1:05d}.png")
                progress.update()


if __name__ == "__main__":
    main()
