"""The adversarial losses of both players, in the kinds that all methods share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from i2i.networks.base import Logits

Kind: TypeAlias = Literal["minimax", "non_saturating", "maximum_likelihood", "lsgan", "hinge", "wasserstein"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator and the generator minimise, given the discriminator's logits.

    `minimax`, `non_saturating` and `maximum_likelihood` share the discriminator's cross-entropy and differ in the
    generator's cost (Goodfellow 2016, sec. 3.2); `lsgan` is Mao et al. 2017, eq. 9 without the halves; `hinge` is
    Lim and Ye 2017; `wasserstein` is Arjovsky et al. 2017 and needs a gradient penalty beside it.

    Logits are a tensor of any shape, averaged, or a sequence of them, one for each discriminator or scale, whose
    losses are added (Wang et al. 2018, eq. 3). Both methods return a scalar in float32.

    Attributes:
        kind: which of the losses.
        real_label: the discriminator's target on real images alone; 0.9 is one-sided label smoothing (Goodfellow
            2016, sec. 4.2).

    Raises:
        ValueError: an unknown kind, a label that is not in (0, 1], or smoothing of a kind that has no target to smooth.
    """

    kind: Kind
    real_label: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in _FORMULAS:
            raise ValueError(f"unknown adversarial loss {self.kind!r}; there are: {', '.join(_FORMULAS)}")
        if self.real_label != 1.0 and not _FORMULAS[self.kind].has_target:
            raise ValueError(f"{self.kind!r} has no target to smooth; leave real_label at 1, or use lsgan")
        if not 0.0 < self.real_label <= 1.0:
            raise ValueError(f"real_label is {self.real_label}; it must be above 0 and at most 1, such as 0.9")

    def discriminator(self, real: Logits, *fakes: Logits) -> Tensor:
        """The discriminator's loss on real and on generated images; 2 log 2 if it can't tell (cross-entropy).

        Generated images of several kinds, such as reconstructions and samples, add a term each.
        """
        formulas, real = _FORMULAS[self.kind], _scales(real)
        terms = [formulas.real(scale.float(), self.real_label) for scale in real]
        for fake in fakes:
            terms += [formulas.fake(f.float()) for f, _ in zip(_scales(fake), real, strict=True)]
        return torch.stack(terms).sum()

    def generator(self, fake: Logits) -> Tensor:
        """The generator's loss on the logits of its images; never smoothed."""
        return torch.stack([_FORMULAS[self.kind].generator(f.float()) for f in _scales(fake)]).sum()

    @torch.no_grad()
    def fake_accuracy(self, fake: Logits) -> Tensor:
        """The share of the logits on generated images that lie on the generated side, from 0 to 1.

        The boundary is the logit of a discriminator that can't tell: half the real label.
        """
        boundary = _FORMULAS[self.kind].boundary(0.5 * self.real_label)
        return torch.stack([(f < boundary).float().mean() for f in _scales(fake)]).mean()


class _Formulas(NamedTuple):
    """One kind of loss: what each player minimises, given logits of any shape, as a scalar."""

    real: Callable[[Tensor, float], Tensor]  # the discriminator's loss on real images, given their label
    fake: Callable[[Tensor], Tensor]  # the discriminator's loss on generated images
    generator: Callable[[Tensor], Tensor]
    has_target: bool = True  # for real images, which label smoothing lowers
    boundary: Callable[[float], float] = lambda share: math.log(share / (1 - share))  # the logit of a probability


def _binary_cross_entropy(x: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, label))


def _softplus(x: Tensor) -> Tensor:
    return F.softplus(x).mean()


_cross_entropy = partial(_Formulas, _binary_cross_entropy, _softplus)

_FORMULAS: Mapping[str, _Formulas] = {
    "minimax": _cross_entropy(lambda x: -_softplus(x)),
    "non_saturating": _cross_entropy(lambda x: _softplus(-x)),
    "maximum_likelihood": _cross_entropy(lambda x: -x.exp().mean()),
    "lsgan": _Formulas(
        real=lambda x, label: (x - label).square().mean(),
        fake=lambda x: x.square().mean(),
        generator=lambda x: (x - 1).square().mean(),
        boundary=lambda share: share,
    ),
    "hinge": _Formulas(
        real=lambda x, _: F.relu(1 - x).mean(),
        fake=lambda x: F.relu(1 + x).mean(),
        generator=lambda x: -x.mean(),
        has_target=False,
    ),
    "wasserstein": _Formulas(
        real=lambda x, _: -x.mean(), fake=lambda x: x.mean(), generator=lambda x: -x.mean(), has_target=False
    ),
}


def _scales(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits
