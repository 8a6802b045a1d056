"""The brushes: colour, sketch and warp. Points are (x, y) from (0, 0), the top left corner, to (1, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from i2i.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Point: TypeAlias = tuple[float, float]
_FAR = 10  # a point may lie outside of the image, and has to fit an integer once it is in pixels
_MOST = 10_000  # points of a stroke
_SCALE = 8  # masks are drawn this much larger, so that their edges are smooth


@dataclass(frozen=True)
class ColourStroke:
    """A line of a colour that the image should have there.

    Attributes:
        points: the corners of the line; one for a dot.
        colour: red, green and blue from 0 to 255.
        width: of the line, as a share of the image's side.
    """

    points: Sequence[Point]
    colour: tuple[int, int, int]
    width: float = 0.06

    def __post_init__(self) -> None:
        _check(self.points, self.width)
        if len(self.colour) != 3 or not all(isinstance(level, Real) and 0 <= level <= 255 for level in self.colour):
            raise UsageError(f"colour {self.colour}: expected red, green and blue from 0 to 255")


@dataclass(frozen=True)
class SketchStroke:
    """A line where the image should have an edge.

    Attributes:
        points: the corners of the line.
        width: of the line, as a share of the image's side.
    """

    points: Sequence[Point]
    width: float = 0.02

    def __post_init__(self) -> None:
        _check(self.points, self.width)


@dataclass(frozen=True)
class WarpStroke:
    """Move a disc of the image.

    Attributes:
        start: its centre.
        end: where the centre should be.
        radius: as a share of the image's side.
    """

    start: Point
    end: Point
    radius: float = 0.12

    def __post_init__(self) -> None:
        _check([self.start, self.end], self.radius)


Stroke: TypeAlias = ColourStroke | SketchStroke | WarpStroke


_BRUSHES: dict[str, type[Stroke]] = {"colour": ColourStroke, "sketch": SketchStroke, "warp": WarpStroke}


def strokes_from(described: Any) -> list[Stroke]:
    """Strokes from JSON: a list of objects with `brush` (colour, sketch or warp) and the attributes of that stroke.

    Raises:
        UsageError: it is something else; the message says which stroke.
    """
    if not isinstance(described, list):
        raise UsageError(
            'expected a list of strokes, such as [{"brush": "sketch", "points": [[0.2, 0.5], [0.8, 0.5]]}]'
        )
    return [_stroke_from(given, number) for number, given in enumerate(described, 1)]


def _stroke_from(given: Any, number: int) -> Stroke:
    kind = _BRUSHES.get(str(given.get("brush"))) if isinstance(given, dict) else None
    if kind is None:
        raise UsageError(f"stroke {number} needs a brush, one of {', '.join(_BRUSHES)}")
    values = {name: value for name, value in given.items() if name != "brush"}
    names = [field.name for field in fields(kind)]
    if unknown := next((name for name in values if name not in names), None):
        raise UsageError(f"stroke {number} has {unknown!r}; a {given['brush']} stroke has {', '.join(names)}")
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"stroke {number}: {error}") from None
    except (TypeError, ValueError):
        raise UsageError(f"stroke {number} can't be read; a {given['brush']} stroke has {', '.join(names)}") from None


def line_mask(points: Sequence[Point], width: float, size: int) -> Tensor:
    """How much of each pixel a line covers: (1, 1, size, size) in [0, 1]."""
    sheet = np.zeros((size * _SCALE, size * _SCALE), np.uint8)
    path = np.rint(np.asarray([*points, points[-1]], float) * size * _SCALE).astype(np.int32)  # two at least, for a dot
    cv2.polylines(sheet, [path], isClosed=False, color=255, thickness=max(1, round(width * size * _SCALE)))
    return _reduced(sheet, size)


def disc_mask(centre: Point, radius: float, size: int) -> Tensor:
    """How much of each pixel a disc covers: (1, 1, size, size) in [0, 1]."""
    sheet = np.zeros((size * _SCALE, size * _SCALE), np.uint8)
    x, y = (round(side * size * _SCALE) for side in centre)
    cv2.circle(sheet, (x, y), max(1, round(radius * size * _SCALE)), color=255, thickness=-1)
    return _reduced(sheet, size)


def _reduced(sheet: np.ndarray, size: int) -> Tensor:
    small = cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA)
    import torch

    return torch.from_numpy(small.astype(np.float32) / 255)[None, None]


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and abs(value) <= _FAR  # type: ignore[operator]


def _check(points: Sequence[Point], width: float) -> None:
    if not 0 < len(points) <= _MOST or not all(len(p) == 2 and all(map(_is_share, p)) for p in points):
        raise UsageError(f"a stroke needs points (x, y) from (0, 0), the top left corner, to (1, 1), {_MOST} at most")
    if not 0 < width <= 1:
        raise UsageError(f"a stroke of width {width}: expected a share of the image's side, above 0 and at most 1")
