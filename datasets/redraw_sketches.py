"""Draw the drawings of side-by-side pairs differently, to score a model on lines that it wasn't trained on.

    python datasets/redraw_sketches.py sketches/val data/redrawn/val --side left --seed 0
    i2i evaluate MODEL data/redrawn

Lines become wobbly, thick, broken, soft, grey or inverted, as with `i2i train --augment sketch`. The same files and
settings give the same files.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from output import find_images, make_folder, make_parser
from tqdm import tqdm

from i2i.data.sketch import varied_sketch
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.images.writing import write


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the pairs."""
    parser = make_parser(__doc__.partition("\n\n")[0])
    parser.add_argument("pairs", type=Path, help="folder of side-by-side pairs")
    parser.add_argument("output", type=Path, help="folder that is written: a new one, or an empty one")
    parser.add_argument("--side", choices=("left", "right"), default="left", help="half that is the drawing")
    parser.add_argument("--seed", type=int, default=0, help="decides the changes")
    options = parser.parse_args(arguments)
    paths = find_images(parser, options.pairs)
    make_folder(parser, options.output)
    for path in tqdm(paths, unit="pair"):
        name = path.relative_to(options.pairs).with_suffix(".png")
        pixels = read(path).pixels
        middle = pixels.shape[1] // 2
        halves = [pixels[:, :middle], pixels[:, middle:]]
        drawing = 0 if options.side == "left" else 1
        seed = zlib.crc32(f"{options.seed} {name.as_posix()}".encode())  # so that it depends on no other file
        halves[drawing] = varied_sketch(halves[drawing], seed=seed)
        write(DecodedImage(np.ascontiguousarray(np.concatenate(halves, axis=1))), options.output / name)
    print(f"{options.output}: {len(paths)} pairs")


if __name__ == "__main__":
    main()
