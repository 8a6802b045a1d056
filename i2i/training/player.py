"""A player: the networks that one loss updates, with their optimizer, gradient scaler and DDP wrapper."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from i2i.config import TrainConfig
from i2i.distributed import wrap_ddp
from i2i.errors import UsageError
from i2i.losses import HistoricalAverage
from i2i.methods import Losses, LossFn
from i2i.training.checks import check_module, check_optimizer, check_scaler


class Player:
    """Networks that are updated together.

    Args:
        networks: all of its networks, as one module.
        settings: optimizer, precision, gradient clipping and historical averaging.
        device: where the networks are.
    """

    def __init__(self, networks: nn.Module, settings: TrainConfig, *, device: torch.device) -> None:
        self.networks, self.settings, self.device = networks, settings, device
        self.optimizer = _optimizer(networks, settings, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self._loss = _Loss(networks, historical_averaging=settings.historical_averaging)
        self._wrapped: Any = self._loss
        # Tensors on the device, so that counting skipped steps does not wait for it.
        self._one, self._skipped = torch.ones((), device=device), torch.zeros((), device=device)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that its loss updates."""
        return self.networks.parameters()

    @property
    def skipped(self) -> int:
        """How many of its latest steps in a row gradient scaling skipped because gradients overflowed."""
        return int(self._skipped)

    def wrap_ddp(self) -> None:
        """Average gradients over the ranks from now on; the weights become those of rank 0."""
        self._wrapped = wrap_ddp(self._loss)

    def zero_grad(self) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: LossFn, images: Any, *, micro_batches: int = 1, sync: bool = True) -> Losses:
        """Add the gradients of a loss on a step's images.

        Args:
            loss: gives the player's terms.
            images: those of the step, or of one of its micro-batches.
            micro_batches: how many there are; terms and gradients are divided by it.
            sync: average over the ranks; only needed with the last micro-batch.

        Returns:
            The terms, detached, and the metrics of the loss.

        Raises:
            UsageError: the loss has no terms.
        """
        no_sync = contextlib.nullcontext() if sync or self._wrapped is self._loss else self._wrapped.no_sync()
        with no_sync:
            with autocast(self.settings, self.device):
                terms: Losses = self._wrapped(loss, images)
            if not terms:
                raise UsageError("every term of a player's loss has weight 0; give one of them a weight")
            total = torch.stack([term.float() for term in terms.values()]).sum() / micro_batches
            torch.autograd.backward(self.scaler.scale(total))
        detached = {name: term.detach() / micro_batches for name, term in terms.items()}
        return Losses(detached, metrics=getattr(terms, "metrics", {}))

    def step(self, *, lr: float) -> None:
        """Update the weights with their gradients."""
        if self.settings.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters(), self.settings.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.step(self.optimizer)
        if self.scaler.is_enabled():
            before = self.scaler.scale(self._one)
            self.scaler.update()
            after = self.scaler.scale(self._one)
            self._skipped = (self._skipped + 1) * ((after < before) | (after == 0))
        if self._loss.history is not None:
            self._loss.history.update()

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer, with that of the scaler and of historical averaging; weights are the method's."""
        history = self._loss.history
        return {
            **self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": history.state_dict() if history else None,
        }

    def check_state_dict(self, state: Any, where: str) -> None:
        """Check types, shapes and values of a state before anything is loaded.

        Raises:
            Damaged: a value is not what was saved.
            UsageError: it is the state of another optimizer.
        """
        check_optimizer(state, self.optimizer, where, kind=self.settings.optimizer)
        check_scaler(state.get("scaler"), f"{where}/scaler")
        if self._loss.history and state.get("history") is not None:
            check_module(state["history"], self._loss.history, f"{where}/history")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state; the settings of the optimizer stay those of this run."""
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        if self._loss.history and state.get("history"):
            self._loss.history.load_state_dict(state["history"])


class _Parametrized(Protocol):
    def parameters(self) -> Iterator[nn.Parameter]: ...


@contextlib.contextmanager
def freeze_all_but(player: _Parametrized, *, of: nn.Module) -> Iterator[None]:
    """Let gradients reach only this player's parameters, of all those of a method."""
    own = {id(parameter) for parameter in player.parameters()}
    others = [p for p in of.parameters() if id(p) not in own and p.requires_grad]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def autocast(settings: TrainConfig, device: torch.device) -> torch.autocast:
    """The precision that a run computes in."""
    kind = torch.float16 if settings.precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=settings.precision != "float32")


class _Loss(nn.Module):
    """The module that DDP wraps: its parameters are the player's, and its forward pass is any loss."""

    def __init__(self, networks: nn.Module, *, historical_averaging: float) -> None:
        super().__init__()
        self.networks = networks
        self.weight = historical_averaging
        self.history = HistoricalAverage(networks) if historical_averaging else None

    def forward(self, loss: LossFn, images: Any) -> dict[str, Tensor]:
        if self.history is None:
            return loss(images)
        return loss(images) | {"historical_averaging": self.weight * self.history()}


def _optimizer(networks: nn.Module, settings: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    weights, decay = list(networks.parameters()), settings.weight_decay
    fused = device.type in ("cpu", "cuda", "mps")
    if settings.optimizer == "sgd":
        return torch.optim.SGD(weights, lr=settings.lr, momentum=settings.momentum, weight_decay=decay, fused=fused)
    return torch.optim.Adam(weights, lr=settings.lr, betas=settings.betas, weight_decay=decay, fused=fused)
