"""What strokes ask of an image, and how far an image is from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from i2i.editing.hog import hog, hog_mask
from i2i.editing.strokes import ColourStroke, SketchStroke, Stroke, disc_mask, line_mask
from i2i.images.arrays import BT601

_SKETCH_WEIGHT = 0.2
_EPSILON = 1e-5


@dataclass(frozen=True)
class Constraints:
    """Colours and edges that an image should have where a mask says so (Zhu et al. 2016, sec. 4.1, as in its code).

    Attributes:
        colour: (1, C, S, S) in [-1, 1].
        colour_mask: (1, 1, S, S) in [0, 1].
        sketch: dark lines on white, (1, 1, S, S) in [-1, 1].
        sketch_mask: (1, 1, S, S) in [0, 1].
    """

    colour: Tensor
    colour_mask: Tensor
    sketch: Tensor
    sketch_mask: Tensor

    @classmethod
    def none(cls, channels: int, size: int) -> Constraints:
        """No constraints on images of this size."""
        nothing = torch.zeros(1, 1, size, size)
        return cls(torch.zeros(1, channels, size, size), nothing, torch.ones(1, 1, size, size), nothing)

    def with_strokes(self, strokes: Iterable[Stroke], image: Tensor) -> Constraints:
        """These and those of strokes, the later over the earlier.

        Args:
            strokes: in the order they were drawn.
            image: the present image, which warps move, (1, C, S, S) in [-1, 1].
        """
        result = self
        for stroke in strokes:
            result = result._with(stroke, image)
        return result

    def cost(self, images: Tensor) -> Tensor:
        """How far images (N, C, S, S) are from what is asked: (N,), >= 0."""
        colour = _masked_mean((images - self.colour).square(), self.colour_mask)
        if not bool(self.sketch_mask.any()):
            return colour
        wanted, mask = self._wanted_edges
        edges = (hog(images, block=self._block) - wanted).square()
        return colour + _SKETCH_WEIGHT * _masked_mean(edges, mask)

    def to(self, device: torch.device) -> Constraints:
        """The same on a device."""
        return Constraints(*(getattr(self, field.name).to(device) for field in fields(self)))

    @property
    def _block(self) -> int:
        return 4 if self.colour.shape[1] == 1 else 8

    @cached_property
    def _wanted_edges(self) -> tuple[Tensor, Tensor]:
        return hog(self.sketch, block=self._block), hog_mask(self.sketch_mask, block=self._block)

    def _with(self, stroke: Stroke, image: Tensor) -> Constraints:
        size = image.shape[-1]
        if isinstance(stroke, SketchStroke):
            mask = line_mask(stroke.points, stroke.width, size)
            return replace(
                self, sketch=torch.minimum(self.sketch, 1 - 2 * mask), sketch_mask=self.sketch_mask.maximum(mask)
            )
        if isinstance(stroke, ColourStroke):
            mask = line_mask(stroke.points, stroke.width, size)
            levels = torch.tensor(stroke.colour, dtype=torch.float32) / 127.5 - 1
            if image.shape[1] == 1:
                levels = (levels * torch.tensor(BT601, dtype=torch.float32)).sum(0, keepdim=True)
            wanted = levels.view(1, -1, 1, 1).expand(-1, -1, size, size)
        else:
            shifts = [round((end - start) * size) for start, end in zip(stroke.start, stroke.end, strict=True)]
            mask = disc_mask(stroke.end, stroke.radius, size)
            wanted = torch.roll(image.cpu(), (shifts[1], shifts[0]), dims=(2, 3))
        return replace(
            self, colour=torch.where(mask > 0, wanted, self.colour), colour_mask=self.colour_mask.maximum(mask)
        )


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).mean((1, 2, 3)) / (mask.mean((1, 2, 3)) + _EPSILON)
