"""DiffAugment: random, differentiable augmentation of all images that a discriminator sees, real and generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from i2i.methods.latents import uniform

Change: TypeAlias = Literal["colour", "translation", "cutout"]

_DRAWN = 7  # numbers for each image


class DiffAugment:
    """Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", sec. 3.2, with its strengths.

    `colour`: brightness by up to 0.5 (of a range of 2), saturation by 0 to 2, contrast by 0.5 to 1.5. `translation`:
    by up to an eighth of each side. `cutout`: a square of half the side set to grey. Translation and cutout
    apply to an image and its condition alike, so that they stay aligned; colour changes the image alone.

    Differs from the paper: its code draws a translation in whole pixels, here a real number is rounded, so that the
    largest shift to each side is half as likely as the others.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = tuple(changes)

    def draw(self, count: int, device: torch.device) -> Tensor:
        """Random numbers for `count` images, (N, 7) in [-1, 1]."""
        return uniform(count, _DRAWN).to(device) if self.changes else torch.empty(count, 0, device=device)

    def __call__(self, images: Tensor, condition: Tensor | None, drawn: Tensor) -> tuple[Tensor, Tensor | None]:
        """Augment images (N, C, H, W) in [-1, 1] and conditions (N, K, H, W) by the numbers of `draw`."""
        if not self.changes:
            return images, condition
        if "colour" in self.changes:
            images = _coloured(images, drawn[:, :3])
        if "translation" in self.changes:
            images, condition = _each(_translated, images, condition, drawn[:, 3:5])
        if "cutout" in self.changes:
            images, condition = _each(_cut, images, condition, drawn[:, 5:7])
        return images, condition


def _each(
    change: Callable[[Tensor, Tensor], Tensor], images: Tensor, condition: Tensor | None, drawn: Tensor
) -> tuple[Tensor, Tensor | None]:
    return change(images, drawn), None if condition is None else change(condition, drawn)


def _coloured(x: Tensor, drawn: Tensor) -> Tensor:
    brightness, saturation, contrast = drawn.to(x.dtype).unbind(1)
    x = x + 0.5 * brightness.view(-1, 1, 1, 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + saturation).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + 0.5 * contrast).view(-1, 1, 1, 1)


def _translated(x: Tensor, drawn: Tensor) -> Tensor:
    count, _, height, width = x.shape
    down, right = ((drawn[:, side] * length / 8).round().long() for side, length in ((0, height), (1, width)))
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    which = torch.arange(count, device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]]
    return (moved * inside[..., None].to(x.dtype)).permute(0, 3, 1, 2)


def _cut(x: Tensor, drawn: Tensor) -> Tensor:
    height, width = x.shape[2:]
    index = (drawn + 1) / 2
    rows = torch.arange(height, device=x.device) - (index[:, :1] * height).floor()
    columns = torch.arange(width, device=x.device) - (index[:, 1:] * width).floor()
    rows, columns = rows * 4 / height, columns * 4 / width
    inside = ((rows >= -1) & (rows < 1))[:, :, None] & ((columns >= -1) & (columns < 1))[:, None]
    return x * (~inside[:, None]).to(x.dtype)
