"""A player's turn: its loss, its gradients, and the step of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from i2i.config import TrainConfig
from i2i.distributed import wrap_ddp
from i2i.errors import UsageError
from i2i.losses import HistoricalAverage
from i2i.methods import Losses, LossFn


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
    """Let gradients reach this player alone of all the parameters of a method."""
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
        self._shared = wrap_ddp(self.turn)

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


def _optimizer(player: nn.Module, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    weights, decay = list(player.parameters()), config.weight_decay
    fused = device.type in ("cpu", "cuda", "mps")
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, lr=config.lr, momentum=config.momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(weights, lr=config.lr, betas=config.betas, weight_decay=decay, fused=fused)
