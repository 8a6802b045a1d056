"""Gradient accumulation: a step's batch in micro-batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from i2i.methods.base import Batch
from i2i.seeding import random_state, set_random_state


class MicroBatches:
    """A step's images in parts of equal size, and the images made of each.

    Those of a whole batch are made once. Of several parts the memory holds one at a time: its images are made anew for
    each turn, the same ones. Once who made them has moved they are kept as they were.

    Args:
        batch: the step's images.
        count: of the parts.
        make: a method's images of a batch; told whether it is the first that makes any in this step, for what
            counts steps, such as running statistics.
        device: where they are.
    """

    def __init__(self, batch: Batch, *, count: int, make: Callable[[Batch, bool], Any], device: torch.device) -> None:
        cut = {name: tensor.chunk(count) for name, tensor in batch.items()}
        self.batches = [{name: parts[index] for name, parts in cut.items()} for index in range(count)]
        self._make, self._device = make, device
        self._drawn: list[dict[str, Tensor]] = []
        self._shown: dict[int, Any] = {}
        self._kept = {0: make(batch, True)} if count == 1 else {}

    def __len__(self) -> int:
        """How many."""
        return len(self.batches)

    def images(self, index: int) -> Any:
        """The images of a part."""
        if index in self._kept:
            return self._kept[index]
        now = random_state(self._device)
        if index < len(self._drawn):
            set_random_state(self._drawn[index], self._device)
            images = self._make(self.batches[index], False)
            set_random_state(now, self._device)
        else:
            self._drawn.append(now)
            images = self._make(self.batches[index], index == 0)
        self._shown[index] = _detached(images)
        return images

    def moved(self) -> None:
        """Who made the images has moved: others are shown those of before."""
        self._kept = self._kept or self._shown

    def last(self) -> Any:
        """Images to look at, from which no gradient leads back."""
        images = (self._kept or self._shown).get(len(self) - 1)
        return None if images is None else _detached(images)


def _detached(images: Any) -> Any:
    return type(images)(*(x.detach() if isinstance(x, Tensor) else x for x in images))
