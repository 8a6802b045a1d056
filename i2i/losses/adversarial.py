"""The adversarial game's two losses, in all the kinds that every method shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Logits: TypeAlias = Tensor | Sequence[Tensor]
Kind: TypeAlias = Literal["minimax", "non_saturating", "maximum_likelihood", "lsgan", "hinge", "wasserstein"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator and the generator minimise, given the discriminator's logits.

    `minimax`, `non_saturating` and `maximum_likelihood` share the discriminator's cross-entropy and differ in the
    generator's cost (Goodfellow 2016, sec. 3.2); `lsgan` is Mao et al. 2017, eq. 9 without the halves; `hinge` is
    Lim and Ye 2017; `wasserstein` is Arjovsky et al. 2017 and wants a gradient penalty beside it.

    Logits are a tensor of any shape, averaged, or a sequence of them, one for each discriminator or scale, whose
    losses are added (Wang et al. 2018, eq. 3). Both methods return a scalar in float32.

    Attributes:
        kind: which of the losses.
        real_label: the discriminator's target on real images alone; 0.9 is one-sided label smoothing (sec. 4.2 there).

    Raises:
        ValueError: an unknown kind, or smoothing of a kind that has no target to smooth.
    """

    kind: Kind
    real_label: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown adversarial loss {self.kind!r}; there are: {', '.join(get_args(Kind))}")
        if self.real_label != 1.0 and self.kind in ("hinge", "wasserstein"):
            raise ValueError(f"{self.kind!r} has no target to smooth; leave real_label at 1, or use lsgan")
        if not 0.0 < self.real_label <= 1.0:
            raise ValueError(f"real_label is {self.real_label}; it lies above 0 and at most at 1, such as 0.9")

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """The discriminator's loss on real and on generated images; 2 log 2 where it can't tell (cross-entropy)."""
        pairs = zip(_each(real), _each(fake), strict=True)
        return torch.stack([self._real(r.float()) + self._fake(f.float()) for r, f in pairs]).sum()

    def generator(self, fake: Logits) -> Tensor:
        """The generator's loss on what the discriminator said of its images; never smoothed."""
        return torch.stack([self._fool(f.float()) for f in _each(fake)]).sum()

    @torch.no_grad()
    def fake_accuracy(self, fake: Logits) -> Tensor:
        """The share of the logits on generated images that lie on the generated side, from 0 to 1.

        The sides meet at what a discriminator says that can't tell: half the real label.
        """
        half = 0.5 * self.real_label
        boundary = half if self.kind == "lsgan" else math.log(half / (1 - half))
        return torch.stack([(f < boundary).float().mean() for f in _each(fake)]).mean()

    def _real(self, x: Tensor) -> Tensor:
        if self.kind == "lsgan":
            return (x - self.real_label).square().mean()
        if self.kind == "hinge":
            return F.relu(1 - x).mean()
        if self.kind == "wasserstein":
            return -x.mean()
        return F.binary_cross_entropy_with_logits(x, torch.full_like(x, self.real_label))

    def _fake(self, x: Tensor) -> Tensor:
        if self.kind == "lsgan":
            return x.square().mean()
        if self.kind == "hinge":
            return F.relu(1 + x).mean()
        if self.kind == "wasserstein":
            return x.mean()
        return F.softplus(x).mean()

    def _fool(self, x: Tensor) -> Tensor:
        if self.kind == "minimax":
            return -F.softplus(x).mean()
        if self.kind == "non_saturating":
            return F.softplus(-x).mean()
        if self.kind == "maximum_likelihood":
            return -x.exp().mean()
        if self.kind == "lsgan":
            return (x - 1).square().mean()
        return -x.mean()


def _each(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits
