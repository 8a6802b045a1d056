"""A player's turn: its loss, its gradients, and the step of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from i2i.checkpoint import random_state, set_random_state
from i2i.config import TrainConfig
from i2i.distributed import shared
from i2i.errors import UsageError
from i2i.losses import HistoricalAverage
from i2i.objectives import Losses, LossFn
from i2i.objectives.base import Batch


class Turn(nn.Module):
    """One player's move: its parameters, and any loss that moves them; what is shared between processes."""

    def __init__(self, player: nn.Module, *, historical_averaging: float = 0.0) -> None:
        super().__init__()
        self.player = player
        self.historical_averaging = historical_averaging
        self.history = HistoricalAverage(player) if historical_averaging else None

    def forward(self, loss: LossFn, images: Any) -> Losses:
        """The player's loss terms on a step's images."""
        if self.history is None:
            return loss(images)
        return loss(images) | {"historical_averaging": self.historical_averaging * self.history()}


@contextlib.contextmanager
def only(player: nn.Module, *, of: nn.Module) -> Iterator[None]:
    """Let gradients reach this player alone of all the parameters of an objective."""
    mine = {id(parameter) for parameter in player.parameters()}
    others = [p for p in of.parameters() if id(p) not in mine and p.requires_grad]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def running_statistics(network: nn.Module, *, update: bool) -> Iterator[None]:
    """Let batch norms in training take a batch into their running statistics, or leave those as they are."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = update
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class Parts:
    """A step's pictures in parts of equal size, and the images made of each.

    Those of a whole batch are made once. Of several parts the memory holds one at a time: its images are made anew for
    each turn, the same ones. Once who made them has moved they are kept as they were.

    Args:
        batch: the step's pictures.
        count: of the parts.
        make: an objective's images of a batch; told whether it is the first that makes any in this step, for what
            counts steps, such as running statistics.
        device: where they are.
    """

    def __init__(self, batch: Batch, *, count: int, make: Callable[[Batch, bool], Any], device: torch.device) -> None:
        cut = {name: tensor.chunk(count) for name, tensor in batch.items()}
        self.batches = [{name: parts[place] for name, parts in cut.items()} for place in range(count)]
        self._make, self._device = make, device
        self._drawn: list[dict[str, Tensor]] = []
        self._shown: dict[int, Any] = {}
        self._kept = {0: make(batch, True)} if count == 1 else {}

    def __len__(self) -> int:
        """How many."""
        return len(self.batches)

    def images(self, place: int) -> Any:
        """The images of a part."""
        if place in self._kept:
            return self._kept[place]
        now = random_state(self._device)
        if place < len(self._drawn):
            set_random_state(self._drawn[place], self._device)
            images = self._make(self.batches[place], False)
            set_random_state(now, self._device)
        else:
            self._drawn.append(now)
            images = self._make(self.batches[place], place == 0)
        self._shown[place] = _detached(images)
        return images

    def moved(self) -> None:
        """Who made the images has moved: others are shown those of before."""
        self._kept = self._kept or self._shown

    def last(self) -> Any:
        """Images to look at, from which no gradient leads back."""
        images = (self._kept or self._shown).get(len(self) - 1)
        return None if images is None else _detached(images)


class Mover:
    """What moves a player: its turn, its optimizer, and the scaler that float16 needs.

    Args:
        player: the networks that move together.
        config: the optimizer's settings.
        device: where they are.
    """

    def __init__(self, player: nn.Module, config: TrainConfig, device: torch.device) -> None:
        self.player, self.config = player, config
        self.turn = Turn(player, historical_averaging=config.historical_averaging)
        self.optimizer = _optimizer(player, config, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        # On the device, so that counting doesn't wait for it.
        self._one, self._skipped = torch.ones((), device=device), torch.zeros((), device=device)
        self._shared: Any = self.turn

    def share(self) -> None:
        """Average gradients over the processes from now on; their weights become those of the first."""
        self._shared = shared(self.turn)

    def begin(self) -> None:
        """Forget the gradients of the step before."""
        self.optimizer.zero_grad(set_to_none=True)

    @property
    def skipped(self) -> int:
        """How many of the latest steps in a row gradient scaling left out because their gradients overflowed."""
        return int(self._skipped)

    def learn(
        self, loss: LossFn, images: Any, *, parts: int, last: bool, autocast: contextlib.AbstractContextManager[Any]
    ) -> dict[str, Tensor]:
        """Add the gradients of one of the parts of a batch; returns its loss terms as they count in the whole."""
        # What the processes have is put together once, with the last part.
        alone = contextlib.nullcontext() if last or self._shared is self.turn else self._shared.no_sync()
        with alone:
            with autocast:
                losses: Losses = self._shared(loss, images)
            if not losses:
                raise UsageError("every term of a player's loss has weight 0; give one of them a weight")
            total = torch.stack([term.float() for term in losses.values()]).sum() / parts
            torch.autograd.backward(self.scaler.scale(total))
        return {term: value.detach() / parts for term, value in losses.items()}

    def move(self, rate: float) -> None:
        """Take the step, at this learning rate."""
        if self.config.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.player.parameters(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        if self.scaler.is_enabled():
            before = self.scaler.scale(self._one)
            self.scaler.update()
            after = self.scaler.scale(self._one)
            self._skipped = (self._skipped + 1) * ((after < before) | (after == 0))
        if self.turn.history is not None:
            self.turn.history.update()


def _detached(images: Any) -> Any:
    return type(images)(*(x.detach() if isinstance(x, Tensor) else x for x in images))


def _optimizer(player: nn.Module, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    weights, decay = list(player.parameters()), config.weight_decay
    fused = device.type in ("cpu", "cuda", "mps")
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, lr=config.lr, momentum=config.momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(weights, lr=config.lr, betas=config.betas, weight_decay=decay, fused=fused)
