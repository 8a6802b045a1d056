"""Random crops and augmentations, the same for both images of a pair; the only importer of albumentations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations

from i2i.data.sketch import varied_sketch
from i2i.images.decoded import PixelArray

_AUGMENTATIONS: dict[str, Any] = {
    "flip": lambda: albumentations.HorizontalFlip(p=0.5),
    "vertical_flip": lambda: albumentations.VerticalFlip(p=0.5),
    "rotate90": lambda: albumentations.RandomRotate90(p=0.75),
    "affine": lambda: albumentations.Affine(
        scale=(0.9, 1.1), rotate=(-10, 10), border_mode=cv2.BORDER_REFLECT_101, p=0.75
    ),
}


class JointTransform:
    """Crop and augment images at random, seeded per image; both images of a pair alike.

    Args:
        image_size: height and width of the crop, in pixels; images are at least as large.
        augment: `flip`, `vertical_flip`, `rotate90`, `affine`; `colour`, which changes brightness and contrast of the
            input only, and `sketch`, which draws the lines of the input differently (see `varied_sketch`).
    """

    def __init__(self, *, image_size: int, augment: Sequence[str] = ()) -> None:
        steps = [albumentations.RandomCrop(image_size, image_size)]
        steps += [_AUGMENTATIONS[name]() for name in augment if name in _AUGMENTATIONS]
        self._joint = albumentations.Compose(steps, additional_targets={"b": "image"})
        colour = albumentations.RandomBrightnessContrast(p=0.5)
        self._input = albumentations.Compose([colour]) if "colour" in augment else None
        self._is_sketch = "sketch" in augment

    def pair(self, a: PixelArray, b: PixelArray, *, seed: int) -> tuple[PixelArray, PixelArray]:
        """Transform a pair of equal size alike: pixels (H, W, C) to (image_size, image_size, C) of the same depth."""
        self._joint.set_random_seed(seed)
        changed = self._joint(image=a, b=b)
        return self._input_changed(changed["image"], seed), _three_axes(changed["b"])

    def one(self, image: PixelArray, *, seed: int, is_input: bool) -> PixelArray:
        """Transform one image."""
        self._joint.set_random_seed(seed)
        changed = self._joint(image=image)["image"]
        return self._input_changed(changed, seed) if is_input else _three_axes(changed)

    def _input_changed(self, image: PixelArray, seed: int) -> PixelArray:
        if self._is_sketch:
            image = varied_sketch(_three_axes(image), seed=seed)
        if self._input is not None:
            self._input.set_random_seed(seed)
            image = self._input(image=image)["image"]
        return _three_axes(image)


def _three_axes(image: PixelArray) -> PixelArray:
    return image[..., None] if image.ndim == 2 else image
