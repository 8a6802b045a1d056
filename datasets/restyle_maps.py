"""Give street maps in the style of the `maps` set the colours of OpenStreetMap's standard style.

    python datasets/restyle_maps.py datasets/examples data/osm
    python datasets/restyle_maps.py maps/train data/both/train --side right

A model that was trained on maps of one style alone fails on others; trained on both, it takes both. With `--side`, the
files are side-by-side pairs, and that half is the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from output import find_images, make_folder, make_parser
from street_map import (
    ARROW,
    HIGHWAY,
    HIGHWAY_EDGE,
    HOME,
    HOME_EDGE,
    LAND,
    PARK,
    PITCH,
    RAMP,
    RAMP_EDGE,
    ROAD,
    ROAD_EDGE,
    SCHOOL,
    SHORE,
    WATER,
)
from tqdm import tqdm

from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.reading import read
from i2i.images.writing import write

# Colours of the `maps` set, and those of OpenStreetMap's standard style for the same things.
OPENSTREETMAP = {
    LAND: (242, 239, 233),
    HOME: (217, 208, 201),
    HOME_EDGE: (196, 182, 171),
    ROAD: (255, 255, 255),
    ROAD_EDGE: (205, 203, 200),
    ARROW: (160, 160, 160),
    HIGHWAY: (232, 146, 162),
    HIGHWAY_EDGE: (220, 42, 103),
    RAMP: (252, 214, 164),
    RAMP_EDGE: (196, 144, 64),
    PARK: (200, 250, 204),
    PITCH: (136, 224, 190),
    SCHOOL: (255, 255, 229),
    WATER: (170, 211, 223),
    SHORE: (150, 190, 205),
}
_SPREAD = 5.0  # levels: a pixel takes the colours that are about as near as the nearest one


def restyled(pixels: PixelArray) -> PixelArray:
    """Replace each colour (H, W, 3) by that of the same thing; a colour between two becomes one between theirs."""
    old = np.array(list(OPENSTREETMAP), np.float32)
    new = np.array(list(OPENSTREETMAP.values()), np.float32)
    colours, places = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    distances = np.linalg.norm(colours[:, None].astype(np.float32) - old, axis=-1)
    weights = np.exp((distances.min(axis=1, keepdims=True) - distances) / _SPREAD)
    result = (weights / weights.sum(axis=1, keepdims=True)) @ new
    return np.rint(result).astype(np.uint8)[places.reshape(pixels.shape[:2])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the maps."""
    parser = make_parser(__doc__.partition("\n\n")[0])
    parser.add_argument("maps", type=Path, help="folder of maps, or of side-by-side pairs")
    parser.add_argument("output", type=Path, help="folder that is written: a new one, or an empty one")
    parser.add_argument("--side", choices=("left", "right"), help="half of a pair that is the map")
    parser.add_argument("--same-names", action="store_true", help="keep the names, so that both folders are pairs")
    options = parser.parse_args(arguments)
    paths = find_images(parser, options.maps)
    make_folder(parser, options.output)
    for path in tqdm(paths, unit="map"):
        image = read(path).pixels
        pixels = np.broadcast_to(image, (*image.shape[:2], 3))  # also of a grey one
        middle = pixels.shape[1] // 2
        of_map = {"left": slice(0, middle), "right": slice(middle, None), None: slice(None)}[options.side]
        result = pixels.copy()
        result[:, of_map] = restyled(np.ascontiguousarray(pixels[:, of_map]))
        name = path.relative_to(options.maps)
        ending = ".png" if options.same_names else "-osm.png"
        write(DecodedImage(result), options.output / name.with_name(f"{name.stem}{ending}"))
    print(f"{options.output}: {len(paths)} maps")


if __name__ == "__main__":
    main()
