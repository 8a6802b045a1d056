"""Resuming a run from the checkpoint in its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from i2i.errors import UsageError, setting
from i2i.model_file import read_header
from i2i.networks import registry_of
from i2i.spec import Spec
from i2i.training.checkpoint import load_state
from i2i.training.checks import OtherNetworks
from i2i.training.integrity import Damaged

_ADVICE = (
    f"; put back a copy of it, or train again with another {setting('run')} (model.safetensors there still translates)"
)


class Resumable(Protocol):
    """What a checkpoint is loaded into: a Trainer."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a checkpoint once all of it has been checked."""


def restore(trainer: Resumable, folder: Path) -> None:
    """Load the checkpoint of a run folder into a trainer; one that is refused changes nothing.

    Raises:
        UsageError: there is none, it is damaged, or other networks, classes or another optimizer wrote it.
    """
    path = folder / "state.pt"
    state = load_state(path, advice=_ADVICE)
    try:
        trainer.load_state_dict(state)
    except OtherNetworks as error:
        raise UsageError(
            f"{path} was saved with other networks ({error}); resume with those: {setting('generator', 'SPEC')}, "
            f"{setting('discriminator', 'SPEC')}"
        ) from None
    except Damaged as error:
        raise UsageError(f"{path} is damaged: {error}{_ADVICE}") from None
    except UsageError as error:
        raise UsageError(f"{folder}: {error.args[0]}") from None


def generator_of(folder: Path) -> str | None:
    """The spec of the generator that a run was started with, because a method's default may have changed since."""
    with contextlib.suppress(UsageError):
        for direction, text in read_header(folder / "model.safetensors")["maps"].items():
            whole = Spec.parse(text).complete(registry_of(direction))
            known = {"in_channels", "out_channels", "image_size", "classes"}  # which the method sets
            return str(Spec(whole.name, {name: v for name, v in whole.options.items() if name not in known}))
    return None
