"""Sample grids: the size of one, and those of several runs at nearly the same steps, embedded in a page."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from i2i.report.run_folder import Run

MOST_STEPS = 20  # of the slider
_LARGEST = 80_000_000  # pixels of a file that is decoded
_MOST_PIXELS = 1_000_000  # of a grid; larger ones are scaled down
_ALL_PIXELS = 60_000_000  # of a page, which is then about 30 MB at most
_DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises


class Grid(NamedTuple):
    """A sample grid in a page.

    Attributes:
        run: the index of its run.
        step: the step of the grid.
        url: the image itself, as a data URL.
        width: in pixels.
        height: in pixels.
    """

    run: int
    step: int
    url: str
    width: int
    height: int


class Grids(NamedTuple):
    """The sample grids of several runs.

    Attributes:
        steps: the steps that the slider stops at; each run shows the grid nearest to it.
        by_step: all grids but the last of each run, under the nearest of these steps.
        last: the last grid of each run; None for a run without any.
    """

    steps: list[int]
    by_step: dict[int, list[Grid]]
    last: list[Grid | None]


def embedded_grids(runs: Sequence[Run]) -> Grids:
    """Embed the grids of runs at up to `MOST_STEPS` steps, fewer if the page would become too large.

    A grid that can't be read is left out.
    """
    sizes = [png_size(run.folder / list(run.samples.values())[-1]) if run.samples else None for run in runs]
    pixels = sum(min(_MOST_PIXELS, size[0] * size[1]) for size in sizes if size)
    most = max(3, min(MOST_STEPS, _ALL_PIXELS // max(1, pixels)))
    steps = spread(sorted({step for run in runs for step in run.samples}), most=most)
    by_step: dict[int, list[Grid]] = {step: [] for step in steps}
    last: list[Grid | None] = []
    for index, run in enumerate(runs):
        chosen = sorted({nearest(step, run.samples) for step in steps}) if run.samples else []
        grids = [grid for step in chosen if (grid := _embedded(index, step, run.folder / run.samples[step]))]
        last.append(grids.pop() if grids else None)
        for grid in grids:
            by_step[nearest(grid.step, steps)].append(grid)
    return Grids(steps, {step: grids for step, grids in by_step.items() if grids}, last)


def nearest(step: int, steps: Iterable[int]) -> int:
    """The step of `steps` that is nearest, the earlier one of two."""
    return min(steps, key=lambda other: (abs(other - step), other))


def spread(steps: Sequence[int], *, most: int) -> list[int]:
    """At most `most` of the steps, evenly spread, with the first and the last."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)]


def png_size(path: Path) -> tuple[int, int] | None:
    """Width and height, from the first bytes of the file; None if it is no PNG."""
    head = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:], "big")


def _embedded(run: int, step: int, path: Path) -> Grid | None:
    """The grid as JPEG, or as the PNG that it is where that is smaller; None if it can't be read."""
    size = png_size(path)
    if size is None or not 0 < size[0] * size[1] <= _LARGEST:
        return None
    try:
        original = path.read_bytes()
        with Image.open(io.BytesIO(original)) as opened:
            image = opened.convert("RGB")
    except _DAMAGE:
        return None
    scale = (_MOST_PIXELS / (image.width * image.height)) ** 0.5
    if scale < 1:
        image = image.resize(
            (max(1, int(image.width * scale)), max(1, int(image.height * scale))), Image.Resampling.LANCZOS
        )
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=90, subsampling=0)
    kind, data = ("jpeg", encoded.getvalue())
    if scale >= 1 and len(original) <= len(data):
        kind, data = "png", original
    return Grid(run, step, f"data:image/{kind};base64,{base64.b64encode(data).decode()}", image.width, image.height)
