"""Start a run from the weights of a trained model."""

from __future__ import annotations

import torch

from i2i.errors import UsageError, setting
from i2i.methods import Method
from i2i.model_file import load_model
from i2i.networks import Network
from i2i.pretrained import model_file
from i2i.spec import Scalar

_MODES = ("norm_at_inference", "dropout_at_inference", "dropout", "dropout_layers", "init")  # which may differ


def start_from(model: str, method: Method) -> None:
    """Give the generators of a method the weights of a model's, direction by direction.

    Raises:
        UsageError: there is no such model, or no generator of its fits one of the method's.
    """
    found = load_model(model_file(model)).generators
    ours = method.generators()
    for direction in ours.keys() & found.keys():
        if _of(ours[direction]) != _of(found[direction]):
            raise UsageError(
                f"{setting('init', model)} has '{found[direction].spec}' where the run has '{ours[direction].spec}'; "
                f"use {setting('generator', str(found[direction].spec))}"
            )
        ours[direction].load_state_dict(found[direction].state_dict())
    if not ours.keys() & found.keys():
        directions = f"{', '.join(found)}, and the run {', '.join(ours)}"
        raise UsageError(f"{setting('init', model)} has the directions {directions}; choose another model")


def _of(network: Network) -> tuple[str, dict[str, Scalar], dict[str, torch.Size]]:
    options = {name: value for name, value in network.spec.options.items() if name not in _MODES}
    return network.spec.name, options, {name: tensor.shape for name, tensor in network.state_dict().items()}
