"""PatchNCE: an output patch should resemble its input patch more than the other patches of the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def patch_nce(query: Tensor, key: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Contrast each patch with the other patches of its image.

    Source: Park et al. 2020, eq. 3.

    Args:
        query: features of the output, (N, P, C), unit length.
        key: features of the input at the same P positions, (N, P, C); no gradient flows here.
        temperature: divides the similarities.

    Returns:
        Mean cross-entropy, a scalar >= 0; log(P) where features carry no information. Computed in float32 under
        autocast too, which would round similarities to 2 or 3 digits.
    """
    with torch.autocast(query.device.type, enabled=False):
        logits = query.float() @ key.detach().float().transpose(1, 2) / temperature
    positive = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits.flatten(0, 1), positive.flatten())
