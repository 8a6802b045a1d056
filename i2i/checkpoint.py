"""Model files, which people share, and states, from which a run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import i2i
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.networks import Generator, build_generator, generators
from i2i.registry import Spec

FORMAT = "i2i-model/1"
STATE_FORMAT = "i2i-state/1"


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        maps: the trained generators by direction, `a2b` and perhaps `b2a`.
        domains: the people's names of a and b.
        preprocess: how training prepared pictures (`image_size`, in pixels).
        config: the run's settings, as provenance.
        step: training steps done.
    """

    maps: Mapping[str, Generator]
    domains: tuple[str, str]
    preprocess: Mapping[str, Any]
    config: Mapping[str, Any]
    step: int


def save_model(path: Path, model: Model, *, dtype: torch.dtype | None = None) -> None:
    """Write a model file: safetensors, with all that rebuilds the networks in its header; no pickle.

    Args:
        path: the file.
        model: what to write.
        dtype: the weights' type in the file; torch.float16 halves it. Their own unless given.
    """
    tensors = {}
    for direction, generator in model.maps.items():
        for name, tensor in generator.state_dict().items():
            kept = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
            tensors[f"{direction}.{name}"] = kept.detach().cpu().contiguous()
    header = {
        "format": FORMAT,
        "made_by": f"i2i-toolkit {i2i.__version__}",
        "maps": json.dumps({direction: str(generator.spec) for direction, generator in model.maps.items()}),
        "modules": json.dumps({generator.spec.name: type(generator).__module__ for generator in model.maps.values()}),
        "domains": json.dumps(model.domains),
        "preprocess": json.dumps(dict(model.preprocess)),
        "config": json.dumps(dict(model.config)),
        "step": str(model.step),
    }
    write_whole(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def read_header(path: Path) -> dict[str, str]:
    """The header of a model file.

    Raises:
        UsageError: there is no such file, or it isn't a model file that this version reads.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such model file") from None
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is not an i2i model file ({error}); expected RUN/model.safetensors") from None
    if header.get("format") != FORMAT:
        wrote = header.get("made_by", "another program")
        found = header.get("format", "no format")
        raise UsageError(f"{path}: written by {wrote} with {found}, and this i2i reads {FORMAT}; {_advice(header)}")
    return header


def load_model(path: Path) -> Model:
    """Rebuild the generators of a model file, on the CPU, in float32 and evaluation mode.

    Raises:
        UsageError: it isn't a model file, it needs a backbone that isn't registered, or its weights are not those of
            the networks that it names.
    """
    header = read_header(path)
    modules = json.loads(header["modules"])
    maps = {}
    with safe_open(path, framework="pt") as file:
        for direction, text in json.loads(header["maps"]).items():
            spec = Spec.parse(text)
            if spec.name not in generators:
                raise UsageError(
                    f"{path} needs the generator {spec.name!r} of module {modules.get(spec.name)!r}, written by "
                    f"{header['made_by']}; install and name it: --import {modules.get(spec.name)}"
                )
            generator = build_generator(spec)
            prefix = f"{direction}."
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
            try:
                generator.load_state_dict(weights)
            except RuntimeError as error:
                raise UsageError(
                    f"{path}: its weights don't fit '{text}': {str(error).splitlines()[-1].strip()}"
                ) from None
            maps[direction] = generator.eval().requires_grad_(False)
    one, two = json.loads(header["domains"])
    return Model(maps, (one, two), json.loads(header["preprocess"]), json.loads(header["config"]), int(header["step"]))


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write all that a run needs to go on; tensors, numbers and text alone."""
    write_whole(path, lambda temporary: torch.save({"format": STATE_FORMAT, **state}, temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Read a state; nothing in it is executed.

    Raises:
        UsageError: there is none, or it can't be read.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no saved state to go on from; leave out --resume to begin anew")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(f"{path} can't be read as a saved state: {str(error).splitlines()[0]}") from None
    if state.get("format") != STATE_FORMAT:
        raise UsageError(f"{path}: a state of format {state.get('format')!r}, and this i2i reads {STATE_FORMAT!r}")
    return state


def random_state() -> dict[str, Tensor]:
    """Where torch's random numbers stand, on the CPU and on each GPU."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda:{i}": each for i, each in enumerate(torch.cuda.get_rng_state_all())}
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Go back to where the random numbers stood."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"cuda:{i}" in state:
                torch.cuda.set_rng_state(state[f"cuda:{i}"], i)


def _advice(header: Mapping[str, str]) -> str:
    if header.get("format", "").startswith("i2i-model/"):
        return "upgrade it: pip install --upgrade i2i-toolkit"
    return "expected RUN/model.safetensors of i2i train"
