"""Networks whose weights are not drawn at random, for those that are loaded, or are never computed with."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_RANDOM = ("uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_")
_FILLS = {*(getattr(nn.init, name) for name in (*_RANDOM, "trunc_normal_", "orthogonal_"))}
_FILLS |= {Tensor.uniform_, Tensor.normal_}


class Unfilled(TorchFunctionMode):
    """Leave out random initialisation, which takes longer than all else in building a network."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLS and not (kwargs or {}).get("generator"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
