"""Gradient accumulation: a step processes its batch in micro-batches, which takes less memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from i2i.config import TrainConfig
from i2i.methods import Method
from i2i.methods.base import Batch
from i2i.seeding import random_state, set_random_state
from i2i.training.player import Player, autocast, freeze_all_but


class MicroBatches:
    """A step's batch in micro-batches of equal size, and the images made of each.

    Memory holds the graph of one micro-batch at a time: its images are made again for each turn, with the same random
    numbers. Once their generator has been updated, later turns see the images as they were before.

    Args:
        batch: the step's batch.
        count: number of micro-batches.
        make: gives a method's images of a micro-batch; its second argument is whether to update running statistics,
            which happens once in a step.
        device: where the images are.
    """

    def __init__(self, batch: Batch, *, count: int, make: Callable[[Batch, bool], Any], device: torch.device) -> None:
        chunks = {name: tensor.chunk(count) for name, tensor in batch.items()}
        self.batches = [{name: parts[index] for name, parts in chunks.items()} for index in range(count)]
        self._make, self._device = make, device
        self._random_states: list[dict[str, Tensor]] = []
        self._seen: dict[int, Any] = {}
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        """Number of micro-batches."""
        return len(self.batches)

    def images(self, index: int) -> Any:
        """The images of a micro-batch."""
        if index in self._kept:
            return self._kept[index]
        now = random_state(self._device)
        if index < len(self._random_states):
            set_random_state(self._random_states[index], self._device)
            images = self._make(self.batches[index], False)
            set_random_state(now, self._device)
        else:
            self._random_states.append(now)
            images = self._make(self.batches[index], index == 0)
        self._seen[index] = detached(images)
        return images

    def keep(self) -> None:
        """Give later turns the images as they are now, because their generator has been updated."""
        self._kept = self._kept or self._seen

    def last(self) -> Any:
        """The images of the last micro-batch, detached; None if no player has been updated."""
        return (self._kept or self._seen).get(len(self) - 1)


def train_step_in_micro_batches(
    method: Method, players: Mapping[str, Player], batch: Batch, *, step: int, lr: float, settings: TrainConfig
) -> tuple[dict[str, Tensor], Any]:
    """The turns of a step with gradient accumulation.

    Returns:
        The terms of each player's loss, and the last images.
    """
    device = next(iter(players.values())).device

    def make(part: Batch, update: bool) -> Any:
        with autocast(settings, device), running_statistics(method, update=update):
            return method(part)

    micro_batches = MicroBatches(batch, count=settings.gradient_accumulation, make=make, device=device)
    count, losses = len(micro_batches), dict[str, Tensor]()
    for name, loss in method.turns(step):
        player = players[name]
        player.zero_grad()
        with freeze_all_but(player, of=method):
            for index in range(count):
                images = method.images_for(name, micro_batches.images(index))
                with running_statistics(method, update=index == 0):
                    terms = player.backward(loss, images, micro_batches=count, sync=index == count - 1)
                method.update_metrics(terms.metrics)
                for term, value in terms.items():
                    losses[f"{name}/{term}"] = losses.get(f"{name}/{term}", 0) + value
        player.step(lr=lr)
        if _makes_images(player, method):
            micro_batches.keep()
    return losses, micro_batches.last()


@contextlib.contextmanager
def running_statistics(network: nn.Module, *, update: bool) -> Iterator[None]:
    """Whether batch norms in training update their running statistics."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = update
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def detached(images: Any) -> Any:
    """A method's images without their graph."""
    return type(images)(*(x.detach() if isinstance(x, Tensor) else x for x in images))


def _makes_images(player: Player, method: Method) -> bool:
    generators = {id(weight) for network in method.generators().values() for weight in network.parameters()}
    return any(id(weight) in generators for weight in player.parameters())
