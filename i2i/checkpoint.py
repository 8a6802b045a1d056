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
from i2i.networks import Generator, LatentGenerator, build_map, registry_of
from i2i.networks.virtual import Reference
from i2i.registry import Spec

FORMAT = "i2i-model/1"
STATE_FORMAT = "i2i-state/1"


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        maps: the trained generators by direction, `a2b` and perhaps `b2a`, or `z2b` from a latent.
        domains: the people's names of a and b.
        preprocess: how training prepared pictures (`image_size`, in pixels).
        config: the run's settings, as provenance.
        step: training steps done.
    """

    maps: Mapping[str, Generator | LatentGenerator]
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
            tensors[f"{direction}.{name}"] = kept.detach().cpu().contiguous().clone()  # tied weights stand twice
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


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file: `format`, `made_by`, `maps`, `modules`, `domains`, `preprocess`, `config`, `step`.

    Raises:
        UsageError: there is no such file, or it isn't a model file that this version reads.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, Any] = file.metadata() or {}
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such model file") from None
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is not an i2i model file ({error}); expected RUN/model.safetensors") from None
    if header.get("format") != FORMAT:
        wrote = header.get("made_by", "another program")
        found = header.get("format", "no format")
        raise UsageError(f"{path}: written by {wrote} with {found}, and this i2i reads {FORMAT}; {_advice(header)}")
    try:
        for key in ("maps", "modules", "domains", "preprocess", "config", "step"):
            header[key] = json.loads(header[key])
        one, two = header["domains"]
        header["domains"] = (str(one), str(two))
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is a damaged model file: its header lacks {error}; get it anew") from None
    return header


def load_model(path: Path) -> Model:
    """Rebuild the generators of a model file, on the CPU, in float32 and evaluation mode.

    Raises:
        UsageError: it isn't a model file, it needs a backbone that isn't registered, or its weights are not those of
            the networks that it names.
    """
    header = read_header(path)
    maps: dict[str, Generator | LatentGenerator] = {}
    with safe_open(path, framework="pt") as file:
        for direction, text in header["maps"].items():
            spec = Spec.parse(text)
            if spec.name not in registry_of(direction):
                module = header["modules"].get(spec.name)
                raise UsageError(
                    f"{path} needs the generator {spec.name!r} of module {module!r}, written by {header['made_by']}; "
                    f"install and name it: --import {module}"
                )
            generator = build_map(direction, spec)
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
            if isinstance(reference := getattr(generator, "reference", None), Reference) and len(reference.batch):
                generator(reference.batch[:1])  # its statistics, now rather than in the first of several threads
    return Model(maps, header["domains"], header["preprocess"], header["config"], header["step"])


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
        raise UsageError(
            f"{path} can't be read as a saved state: {(str(error) or 'it ends too early').splitlines()[0]}"
        ) from None
    if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
        raise UsageError(f"{path}: not a state that this i2i reads, which is {STATE_FORMAT}")
    return state


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where torch's random numbers stand, on the CPU and on the device."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go back to where the random numbers stood."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _advice(header: Mapping[str, str]) -> str:
    if header.get("format", "").startswith("i2i-model/"):
        return "upgrade it: pip install --upgrade i2i-toolkit"
    return "expected RUN/model.safetensors of i2i train"
