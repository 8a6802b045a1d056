"""Draw street maps in the style of the `maps` set, as images to try a trained model on.

    python datasets/draw_maps.py datasets/examples --count 12 --seed 1

Every line and area is made up here; the same seed draws the same files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from output import make_folder, make_parser
from street_map import (
    DOCKLAND,
    LAND,
    PATH,
    PITCH,
    RAMP,
    RAMP_EDGE,
    Sheet,
    curve,
    fill,
    green,
    highway,
    moved,
    overpass,
    railway,
    ring,
    road,
    stroke,
    town,
    verge,
    water,
)
from tqdm import tqdm


def dense_residential(sheet: Sheet) -> None:
    """Terraces, street after street."""
    town(sheet, angle=-33, block=(41, 92), homes="rows")


def riverside(sheet: Sheet) -> None:
    """A river with a green bank and a bridge."""
    bank = curve(sheet.at((-0.1, 0.68), (0.3, 0.66), (0.7, 0.58), (1.1, 0.44)))
    far = curve(sheet.at((1.1, 0.72), (0.7, 0.84), (0.3, 0.90), (-0.1, 0.92)))
    water(sheet, np.concatenate([bank, far]))
    green(sheet, np.concatenate([moved(bank, 0, -12), moved(bank[::-1], 0, -2)]))
    road(sheet, moved(bank, 0, -14), 5.5)
    road(sheet, moved(far, 0, 6), 4)
    road(sheet, sheet.at((0.60, -0.1), (0.66, 0.55), (0.72, 1.1)), 7)
    town(sheet, angle=6, block=(42, 90), homes="houses")


def big_park(sheet: Sheet) -> None:
    """A park with paths and a pond beside terraces."""
    edge = sheet.at((-0.1, 0.62), (0.35, 0.42), (0.70, 0.24), (1.1, -0.02))
    green(sheet, np.concatenate([edge, [(-40, -40)]]))
    for points in (
        ((0.02, 0.55), (0.12, 0.3), (0.4, 0.1), (0.52, 0.3), (0.33, 0.4), (0.12, 0.3)),
        ((-0.1, 0.2), (0.12, 0.3), (0.2, 0.1), (0.4, 0.1), (0.6, -0.1)),
    ):
        stroke(sheet.image, curve(sheet.at(*points)), 1.5, PATH)
    fill(sheet.image, sheet.at((0.58, 0.08), (0.68, 0.02), (0.72, 0.12), (0.62, 0.17)), PITCH)
    water(sheet, ring(sheet, (0.27, 0.24), 17))
    road(sheet, edge, 6.5)
    road(sheet, curve(sheet.at((0.0, -0.1), (0.06, 0.2), (-0.1, 0.36))), 4.5)
    town(sheet, angle=-27, block=(37, 96), homes="rows")


def highway_interchange(sheet: Sheet) -> None:
    """Two highways that join, with ramps."""
    trunk = curve(sheet.at((-0.1, 0.86), (0.25, 0.80), (0.5, 0.55), (0.68, 0.25), (0.88, -0.1)))
    branch = curve(np.concatenate([trunk[30:31], sheet.at((0.54, 0.62), (0.60, 0.85), (0.72, 1.1))]))
    green(sheet, np.concatenate([trunk[len(trunk) // 4 : len(trunk) // 2], sheet.at((0.50, 0.70), (0.40, 0.86))]))
    ramps = [curve(np.concatenate([trunk[12:13], sheet.at((0.36, 0.81), (0.46, 0.88), (0.50, 1.1))]))]
    ramps.append(curve(np.concatenate([trunk[38:39], sheet.at((0.76, 0.30), (0.90, 0.40), (1.1, 0.43))])))
    for line, width in ((trunk, 22), (branch, 18)):
        verge(sheet, line, width)
    town(sheet, angle=38, block=(44, 78), homes="lots")
    for line in ramps:
        highway(sheet, line, 3.5, RAMP, RAMP_EDGE)
    highway(sheet, branch, 8)
    highway(sheet, trunk, 10)


def coast(sheet: Sheet) -> None:
    """A shore road, a green strip and two piers."""
    shore = curve(sheet.at((0.84, -0.1), (0.76, 0.2), (0.60, 0.5), (0.56, 0.8), (0.60, 1.1)))
    water(sheet, np.concatenate([shore, [(sheet.width + 40, sheet.height + 40), (sheet.width + 40, -40)]]))
    for y in (0.34, 0.66):
        pier = sheet.at((0.55, y), (0.92, y + 0.10), (0.91, y + 0.14), (0.55, y + 0.04))
        fill(sheet.image, pier, LAND)
    green(sheet, np.concatenate([moved(shore, -13, 0), moved(shore[::-1], -1.5, 0)]))
    road(sheet, moved(shore, -16, 0), 6.5)
    town(sheet, angle=-8, block=(39, 86), homes="houses")


def industrial(sheet: Sheet) -> None:
    """Large halls on both sides of a railway."""
    rail = curve(sheet.at((-0.1, 0.20), (0.3, 0.27), (0.7, 0.40), (1.1, 0.44)))
    verge(sheet, rail, 15)
    road(sheet, sheet.at((0.30, -0.1), (0.36, 0.5), (0.38, 1.1)), 7)
    town(sheet, angle=9, block=(62, 96), homes="halls")
    railway(sheet, rail)
    railway(sheet, moved(rail, 0, 4))


def diagonal_avenue(sheet: Sheet) -> None:
    """Two grids that meet at a slanting avenue."""
    avenue = sheet.at((-0.1, 0.30), (0.45, 0.60), (1.1, 0.93))
    road(sheet, avenue, 8)
    town(sheet, angle=28, block=(37, 88), homes="rows", inside=np.concatenate([avenue, [(999, -999), (-999, -999)]]))
    town(sheet, angle=-7, block=(42, 74), homes="lots", inside=np.concatenate([avenue, [(999, 999), (-999, 999)]]))


def railway_cut(sheet: Sheet) -> None:
    """A railway between detached houses."""
    rail = curve(sheet.at((-0.1, 0.72), (0.35, 0.60), (0.7, 0.40), (1.1, 0.30)))
    verge(sheet, rail, 20)
    road(sheet, moved(rail, -3, -14), 5)
    road(sheet, moved(rail, 3, 14), 5)
    road(sheet, sheet.at((0.42, -0.1), (0.50, 0.5), (0.55, 1.1)), 6)
    town(sheet, angle=-80, block=(42, 108), homes="houses")
    railway(sheet, rail)


def lake(sheet: Sheet) -> None:
    """A lake in a park of five sides."""
    edge = sheet.at((0.26, 0.22), (0.86, 0.10), (0.94, 0.62), (0.58, 0.84), (0.20, 0.68), (0.26, 0.22))
    edge[-1] = edge[0]
    green(sheet, edge)
    for points in (
        ((0.26, 0.30), (0.48, 0.30), (0.60, 0.24), (0.80, 0.36), (0.78, 0.60), (0.58, 0.84)),
        ((0.22, 0.64), (0.36, 0.62), (0.48, 0.70), (0.70, 0.66), (0.92, 0.50)),
    ):
        stroke(sheet.image, curve(sheet.at(*points)), 1.5, PATH)
    water(sheet, ring(sheet, (0.57, 0.47), 30))
    road(sheet, edge, 4.5)
    town(sheet, angle=17, block=(43, 92), homes="houses")


def expressway(sheet: Sheet) -> None:
    """A highway of two carriageways, with service roads and an overpass."""
    line = curve(sheet.at((-0.05, 1.1), (0.35, 0.62), (0.62, 0.38), (1.05, -0.12)))
    verge(sheet, line, 30)
    road(sheet, moved(line, -14, -14), 4.5)
    road(sheet, moved(line, 14, 14), 4.5)
    crossing = sheet.at((0.16, 0.34), (0.58, 0.80))
    road(sheet, crossing, 5)
    town(sheet, angle=-44, block=(40, 84), homes="rows")
    ramp = np.concatenate([sheet.at((0.1, 1.1), (0.36, 0.74), (0.50, 0.58)), line[22:23]])
    highway(sheet, curve(ramp), 3, RAMP, RAMP_EDGE)
    highway(sheet, moved(line, -3, -3), 5.5)
    highway(sheet, moved(line, 3, 3), 5.5)
    overpass(sheet, crossing, 5)


def harbour(sheet: Sheet) -> None:
    """Quays with warehouses."""
    quay = sheet.at((-0.1, 0.62), (0.16, 0.59), (0.20, 0.88), (0.44, 0.85), (0.40, 0.56), (0.66, 0.53), (0.70, 0.80))
    quay = np.concatenate([quay, sheet.at((0.90, 0.78), (0.86, 0.50), (1.1, 0.47))])
    ground = np.concatenate([quay, sheet.at((1.1, 0.30), (-0.1, 0.38))])
    fill(sheet.image, ground, DOCKLAND)
    water(sheet, np.concatenate([quay, [(sheet.width + 40, sheet.height + 40), (-40, sheet.height + 40)]]))
    road(sheet, sheet.at((-0.1, 0.38), (0.5, 0.34), (1.1, 0.30)), 6)
    town(sheet, angle=-7, block=(56, 74), homes="halls")


def housing_estate(sheet: Sheet) -> None:
    """Blocks of flats on open ground."""
    avenue = curve(sheet.at((-0.1, 0.80), (0.3, 0.78), (0.62, 0.62), (0.80, 0.30), (0.84, -0.1)))
    green(sheet, np.concatenate([avenue[20:], sheet.at((1.1, -0.1), (1.1, 0.62))]))
    stroke(sheet.image, curve(sheet.at((0.70, 0.55), (0.84, 0.50), (0.90, 0.30), (1.1, 0.22))), 1.5, PATH)
    road(sheet, avenue, 6.5)
    road(sheet, sheet.at((0.58, 0.66), (1.1, 0.62)), 4)
    town(sheet, angle=-14, block=(92, 118), homes="slabs")


SCENES: tuple[tuple[Callable[[Sheet], None], tuple[int, int]], ...] = (
    (riverside, (256, 256)),
    (dense_residential, (256, 256)),
    (big_park, (256, 256)),
    (highway_interchange, (256, 256)),
    (coast, (256, 256)),
    (industrial, (256, 256)),
    (diagonal_avenue, (256, 256)),
    (railway_cut, (256, 256)),
    (lake, (256, 256)),
    (expressway, (320, 256)),
    (harbour, (256, 384)),
    (housing_estate, (300, 200)),
)


def main() -> None:
    """Parse the arguments and draw the maps."""
    parser = make_parser("Draw street maps to try a trained model on.")
    parser.add_argument("folder", type=Path, help="output folder for the PNG files; created if needed")
    parser.add_argument(
        "--count", type=int, default=12, help="number of maps; the 12 kinds of scenes are repeated in turn"
    )
    parser.add_argument("--seed", type=int, default=1, help="random seed; a different seed draws different maps")
    args = parser.parse_args()
    if args.count < 1 or args.seed < 0:
        parser.error(f"--count {args.count} --seed {args.seed}: expected a count of 1 or more and a seed of 0 or more")
    make_folder(parser, args.folder, empty=False)
    for index in tqdm(range(args.count), unit="map"):
        scene, size = SCENES[index % len(SCENES)]
        sheet = Sheet(*size, np.random.default_rng([args.seed, index]))
        scene(sheet)
        name = f"{index + 1:02d}-{scene.__name__.replace('_', '-')}.png"
        sheet.finish().save(args.folder / name, optimize=True)


if __name__ == "__main__":
    main()
