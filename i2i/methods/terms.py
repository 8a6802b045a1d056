"""What a loss returns: its terms, and metrics to log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import Tensor

_NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Losses(dict[str, Tensor]):
    """Named, already weighted scalar terms, whose sum a player minimises.

    `metrics` are scalars to log, not to minimise, such as `fake_accuracy`. Combine losses with `|`, which combines
    their metrics too; `{**losses}` has the terms alone.
    """

    def __init__(self, terms: Mapping[str, Tensor] = _NOTHING, *, metrics: Mapping[str, Tensor] = _NOTHING) -> None:
        super().__init__(terms)
        self.metrics = dict(metrics)

    def __or__(self, other: Mapping[str, Tensor]) -> Losses:  # type: ignore[override]
        """The terms and metrics of both."""
        return Losses({**self, **other}, metrics={**self.metrics, **getattr(other, "metrics", {})})

    def __ior__(self, other: Mapping[str, Tensor]) -> Losses:  # type: ignore[override]
        """Add the terms and metrics of others."""
        self.update(other)
        self.metrics |= getattr(other, "metrics", {})
        return self

    def __ror__(self, other: Mapping[str, Tensor]) -> Losses:  # type: ignore[override]
        """The terms of a dict and of these losses, with their metrics."""
        return Losses({**other, **self}, metrics=self.metrics)


LossFn: TypeAlias = Callable[[Any], dict[str, Tensor]]
