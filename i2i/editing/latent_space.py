"""The codes that edits move, and the images they stand for."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.networks import LatentGenerator

_LIMIT = 0.99  # of a code that starts an optimisation, where codes lie in (-1, 1)
_SPREAD = 0.5  # of candidates around the present code


class LatentSpace:
    """Codes (N, length) of a generator, for one label.

    A code is a latent, or what a flow makes of it. Where latents come from U(-1, 1), it stays in (-1, 1): it is the
    tanh of the variable that an optimiser moves.

    Args:
        generator: in evaluation mode.
        label: its one-hot label (classes,), where it has classes.
    """

    def __init__(self, generator: LatentGenerator, label: Tensor) -> None:
        self.generator, self.length = generator, generator.latent
        self._label = label
        self._bounded = generator.prior == "uniform"

    def images(self, codes: Tensor) -> Tensor:
        """The images of codes: (N, C, S, S) in [-1, 1]."""
        return self.generator.decode(self._labelled(codes))

    def code(self, latents: Tensor) -> Tensor:
        """The codes of latents (N, length)."""
        return self.generator.code(self._labelled(latents))[:, : self.length]

    def random(self, count: int, draw: torch.Generator) -> Tensor:
        """Codes of latents from the generator's prior."""
        return self.code(self.generator.draw(count, generator=draw).to(self._label.device))

    def around(self, code: Tensor, count: int, draw: torch.Generator) -> Tensor:
        """Codes near one (1, length), which is the first of them."""
        noise = torch.rand(count, self.length, generator=draw) * 2 - 1
        noise[0] = 0
        near = code + _SPREAD * noise.to(code)
        return near.clamp(-_LIMIT, _LIMIT) if self._bounded else near

    def free(self, codes: Tensor, *, limit: float = _LIMIT) -> Tensor:
        """The variables that an optimiser moves; bounded codes are clipped, since near 1 they hardly move."""
        return torch.atanh(codes.clamp(-limit, limit)) if self._bounded else codes.clone()

    def bound(self, free: Tensor) -> Tensor:
        """The codes of such variables."""
        return torch.tanh(free) if self._bounded else free

    def _labelled(self, codes: Tensor) -> Tensor:
        return torch.cat([codes, self._label.expand(len(codes), -1)], dim=1)
