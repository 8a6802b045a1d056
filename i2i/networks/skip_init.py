"""Build networks without random initialisation, whose weights are loaded afterwards or never computed with."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_RANDOM = ("uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_")
_FILLS = {*(getattr(nn.init, name) for name in (*_RANDOM, "trunc_normal_", "orthogonal_"))}
_FILLS |= {Tensor.uniform_, Tensor.normal_}


class SkipInit(TorchFunctionMode):
    """Skip random initialisation, which takes most of the time of building a network.

    `torch.nn.utils.skip_init` does so for a single module; this mode does for all that are built within it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLS and not (kwargs or {}).get("generator"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
