"""An image of inputs beside their outputs, to look at after a conversion."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import numpy as np

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray
from i2i.images.grid import contact_sheet
from i2i.images.reading import read
from i2i.images.writing import write
from i2i.inference.planning import Job

_COLUMNS = 6


def write_contact_sheet(path: Path, jobs: list[Job], *, domains: tuple[str, str], max_inputs: int = 24) -> None:
    """Write inputs beside their outputs as one image: all, or `max_inputs` at even distances."""
    outputs: dict[Path, list[Path]] = {}
    for job in jobs:
        outputs.setdefault(job.source, []).append(job.target)
    sources, count = list(outputs), min(max_inputs, len(outputs))
    groups: list[list[PixelArray]] = []
    for source in (sources[index * len(sources) // count] for index in range(count)):
        with contextlib.suppress(ImageError, MemoryError):  # a target of an earlier conversion may be damaged
            groups.append([read(source).pixels, *(read(target).pixels for target in outputs[source])])
    if not groups:
        return
    width = max(map(len, groups))  # of a group, in images
    blank = np.full((1, 1, 3), 255, np.uint8)  # for a missing output
    groups = [[*group, *[blank] * (width - len(group))] for group in groups]
    across = max(1, _COLUMNS // width)
    rows = [list(itertools.chain(*groups[start : start + across])) for start in range(0, len(groups), across)]
    captions = [domains[0], *[domains[1]] * (width - 1)] * across
    write(DecodedImage(contact_sheet(rows, captions[: max(map(len, rows))], side=256)), path)
