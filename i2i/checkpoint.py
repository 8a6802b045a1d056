"""Model files, which people share, and states, from which a run goes on."""

from __future__ import annotations

import contextlib
import json
import pickle
import shlex
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import i2i
from i2i.device import isolated
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.header import CHECKSUM, checksum, decode
from i2i.integrity import Damaged, check_archive, state_checksum
from i2i.networks import Generator, LatentGenerator, registry_of
from i2i.networks.rebuild import Listed, rebuild
from i2i.networks.virtual import Reference
from i2i.registry import Spec

FORMAT = "i2i-model/1"
STATE_FORMAT = "i2i-state/2"
_READABLE = ("i2i-state/1", STATE_FORMAT)  # the first had no checksum
_MOST_TENSORS = 20_000
_AGAIN = "download or copy it again"


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
    header[CHECKSUM] = checksum(header, tensors)
    write_whole(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file: `format`, `made_by`, `maps`, `modules`, `domains`, `preprocess`, `config`, `step`.

    It has a `checksum` of the tensors and of the rest of the header, which `load_model` verifies, unless an i2i
    without checksums wrote it.

    Raises:
        UsageError: there is no such file, or it isn't a model file that this version reads.
    """
    with _opened(path) as file:
        return _header_of(path, file.metadata() or {})


def load_model(path: Path) -> Model:
    """Rebuild the generators of a model file, on the CPU, in float32 and evaluation mode.

    The header and the list of tensors are checked before a network is built, and bound the work of building it.

    Raises:
        UsageError: it isn't a model file, it needs a backbone that isn't registered, its weights are not those of the
            networks that it names, or it is damaged: its checksum differs, or weights are NaN or infinite.
    """
    with isolated(), _opened(path) as file:
        metadata = file.metadata() or {}
        header = _header_of(path, metadata)
        maps = _rebuilt(path, header, file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _verify(path, metadata, tensors)
        for direction, generator in maps.items():
            prefix = f"{direction}."
            generator.load_state_dict(
                {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            )
            generator.eval().requires_grad_(False)
            if isinstance(reference := getattr(generator, "reference", None), Reference) and len(reference.batch):
                generator(reference.batch[:1])  # its statistics, now rather than in the first of several threads
    return Model(maps, header["domains"], header["preprocess"], header["config"], header["step"])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such model file") from None
    except (SafetensorError, OSError) as error:
        said = str(error).splitlines()[0][:200]
        raise UsageError(f"{path} is not an i2i model file ({said}); expected RUN/model.safetensors") from None


def _header_of(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        wrote = metadata.get("made_by", "another program")[:60]
        found = metadata.get("format", "no format")[:60]
        raise UsageError(f"{path}: written by {wrote} with {found}, and this i2i reads {FORMAT}; {_advice(metadata)}")
    try:
        return decode(metadata)
    except ValueError as error:
        raise UsageError(f"{path} is a damaged model file: {error}; {_AGAIN}") from None


def _rebuilt(path: Path, header: Mapping[str, Any], file: Any) -> dict[str, Generator | LatentGenerator]:
    """The networks that a file names, if its tensors are theirs; without their weights."""
    names = file.keys()
    if len(names) > _MOST_TENSORS:
        raise UsageError(f"{path} is a damaged model file: it lists {len(names)} tensors; {_AGAIN}")
    slices = {name: file.get_slice(name) for name in names}
    listed = {name: Listed(str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}
    stray = next((name for name in names if name.partition(".")[0] not in header["maps"]), None)
    if stray is not None:
        raise UsageError(f"{path} is a damaged model file: {stray[:80]} belongs to none of its networks; {_AGAIN}")
    maps = {}
    for direction, text in header["maps"].items():
        spec = Spec.parse(text)
        if spec.name not in registry_of(direction):
            module = header["modules"].get(spec.name)
            raise UsageError(
                f"{path} needs the generator {spec.name!r} of module {module!r}, written by {header['made_by']}; "
                f"install and name it: --import {shlex.quote(str(module))}"
            )
        prefix = f"{direction}."
        own = {name.removeprefix(prefix): one for name, one in listed.items() if name.startswith(prefix)}
        try:
            maps[direction] = rebuild(direction, spec, own)
        except UsageError as error:
            raise UsageError(f"{path}: its weights don't fit '{text}': {error}") from None
    return maps


def _verify(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(metadata, tensors):
        raise UsageError(f"{path} is damaged or was changed: its checksum differs; {_AGAIN}")
    for name, tensor in tensors.items():
        # A sum is finite wherever all is and nothing overflows, and takes a tenth of the time.
        if not bool(tensor.sum().isfinite()) and not bool(tensor.isfinite().all()):
            raise UsageError(f"{path} is a damaged model file: {name} has NaN or infinite values; {_AGAIN}")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write all that a run needs to resume: tensors, numbers and text alone, and a checksum of them.

    Raises:
        OSError: the folder can't be written, or the disk is full; what stood at `path` is untouched.
    """
    whole = {**state, "format": STATE_FORMAT, "made_by": f"i2i-toolkit {i2i.__version__}"}
    whole["checksum"] = state_checksum(whole)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(whole, file)

    write_whole(path, write)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state whose archive and checksum are as they were written; nothing in it is executed.

    Raises:
        UsageError: there is none, it is damaged, or another version of i2i wrote it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no saved state to go on from; leave out --resume to begin anew")
    try:
        check_archive(path)
        state = _unpickled(path)
        if not isinstance(state, dict) or not str(state.get("format")).startswith("i2i-state/"):
            raise Damaged("it holds something else than the state of a run")
        found, said = str(state["format"]), state.pop("checksum", None)
        if found not in _READABLE:
            wrote = str(state.get("made_by", "another i2i"))[:60]
            raise UsageError(
                f"{path}: written by {wrote} as {found[:60]}, and this i2i {i2i.__version__} reads {STATE_FORMAT}; "
                "upgrade it: pip install --upgrade i2i-toolkit"
            )
        if (found == STATE_FORMAT or said is not None) and said != state_checksum(state):
            raise Damaged("its checksum differs")
    except Damaged as error:
        raise UsageError(f"{path} can't be read as a saved state: {error}") from None
    return state


def _unpickled(path: Path) -> Any:
    """What an archive holds; PyTorch's own message may advise to switch its protection off, and is not passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise Damaged("it holds something else than tensors, numbers and text, which is never loaded") from None
    except Exception:
        raise Damaged("its entries don't fit each other") from None


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where torch's random numbers stand, on the CPU and on the device."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go back to where the random numbers stood."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _advice(metadata: Mapping[str, str]) -> str:
    if metadata.get("format", "").startswith("i2i-model/"):
        return "upgrade it: pip install --upgrade i2i-toolkit"
    return "expected RUN/model.safetensors of i2i train"
