"""Find the code whose image is nearest to a photograph."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.editing.latent_space import LatentSpace

# Of bounded codes at the start: an encoder's are often nearly 1. Measured on photographs of flowers (n = 16): an error
# of 0.090 after 30 evaluations from 0.7 and of 0.108 from 0.99.
_LIMIT = 0.7


def reconstruction_error(images: Tensor, target: Tensor) -> Tensor:
    """The mean squared difference of each image (N, C, S, S) from a target: (N,)."""
    return (images - target).square().mean((1, 2, 3))


def optimise(space: LatentSpace, target: Tensor, start: Tensor, *, evaluations: int) -> Tensor:
    """Minimise the reconstruction error from a code by L-BFGS (Zhu et al. 2016, eq. 3).

    Args:
        space: the codes.
        target: (1, C, S, S) in [-1, 1].
        start: (1, length).
        evaluations: of the generator and its gradient, at most, beside that of the start.

    Returns:
        The code, (1, length); never worse than the start.
    """
    free = space.free(start, limit=_LIMIT).requires_grad_()
    with torch.no_grad():
        best, least = start, reconstruction_error(space.images(start), target).item()

    def evaluate() -> Tensor:
        nonlocal best, least
        optimizer.zero_grad(set_to_none=True)
        code = space.bound(free)
        error = reconstruction_error(space.images(code), target).sum()
        if error.item() < least:
            best, least = code.detach().clone(), error.item()
        error.backward()  # type: ignore[no-untyped-call]
        return error

    optimizer = torch.optim.LBFGS(
        [free], max_iter=evaluations, max_eval=evaluations, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )
    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    return best
