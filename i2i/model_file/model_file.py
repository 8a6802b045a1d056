"""Write, describe and load a model file."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from i2i.device import isolated
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.model_file.header import CHECKSUM, decode
from i2i.model_file.rebuild import MEND, of_direction, rebuild_all
from i2i.model_file.toolkits import is_checkpoint, load_checkpoint
from i2i.networks import Network
from i2i.networks.virtual_batch_norm import Reference
from i2i.version import __version__

FORMAT = "i2i-model/1"
_EXPORTED = (".onnx", ".xml", ".pt2")


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        generators: by direction: `a2b`, `b2a`, or `z2b` from a latent and `b2z` to one.
        domains: the names of a and b that users see.
        preprocess: how training prepared images: `image_size` in pixels, `channels`, `depths` in bits, `classes`.
        config: the run's settings, as provenance.
        step: training steps done.
    """

    generators: Mapping[str, Network]
    domains: tuple[str, str]
    preprocess: Mapping[str, Any]
    config: Mapping[str, Any]
    step: int


def save_model(path: Path, model: Model, *, dtype: torch.dtype | None = None) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: the file.
        model: the generators, and what describes them.
        dtype: type of the weights in the file, such as torch.float16 for half the size; by default it is unchanged.
    """
    tensors = {}
    for direction, generator in model.generators.items():
        for name, tensor in generator.state_dict().items():
            converted = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
            tensors[f"{direction}.{name}"] = converted.detach().cpu().contiguous().clone()  # tied weights: two copies
    header = describe(model)
    header[CHECKSUM] = checksum(header, tensors)
    write_whole(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def describe(model: Model) -> dict[str, str]:
    """The header of a model, as text, but for the checksum."""
    return {
        "format": FORMAT,
        "made_by": f"i2i-toolkit {__version__}",
        "maps": json.dumps({direction: str(generator.spec) for direction, generator in model.generators.items()}),
        "modules": json.dumps(
            {generator.spec.name: type(generator).__module__ for generator in model.generators.values()}
        ),
        "domains": json.dumps(model.domains),
        "preprocess": json.dumps(dict(model.preprocess)),
        "config": json.dumps(dict(model.config)),
        "step": str(model.step),
    }


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file: `format`, `made_by`, `maps`, `modules`, `domains`, `preprocess`, `config`, `step`.

    `maps` has the spec of each direction's generator. `checksum`, which `load_model` verifies, covers the tensors and
    the rest of the header; files of an i2i without checksums lack it.

    Raises:
        UsageError: there is no such file, or it isn't a model file that this version reads.
    """
    if is_checkpoint(path):
        return decode(describe(_recognised(path)))
    with _opened(path) as file:
        return _header_of(path, file.metadata() or {})


def load_model(path: Path, *, directions: Collection[str] | None = None) -> Model:
    """Rebuild the generators of a model file, on the CPU, in float32 and evaluation mode.

    Checkpoints (.pth) of other toolkits are recognised too; see `i2i.model_file.toolkits`.

    The header and the list of tensors are checked before a network is built, and bound the work of building it.

    Args:
        path: the file.
        directions: load the generators of these directions only, such as `["a2b"]`; all unless given.

    Raises:
        UsageError: it isn't a model file, it needs a backbone that isn't registered, its weights don't fit its specs,
            or it is damaged: its checksum differs, or weights are NaN or infinite.
    """
    if is_checkpoint(path):
        return _recognised(path)
    with isolated(), _opened(path) as file:
        metadata = file.metadata() or {}
        header = _header_of(path, metadata)
        generators = rebuild_all(path, header, file, directions)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _verify(path, metadata, tensors)
        for direction, generator in generators.items():
            generator.load_state_dict(of_direction(direction, tensors))
            generator.eval().requires_grad_(False)
            if isinstance(reference := getattr(generator, "reference", None), Reference) and len(reference.batch):
                generator(reference.batch[:1])  # computes its statistics now, before several threads would do so
    return Model(generators, header["domains"], header["preprocess"], header["config"], header["step"])


def _recognised(path: Path) -> Model:
    """The model that a checkpoint of another toolkit holds."""
    found = load_checkpoint(path)
    channels = [found.generator.in_channels, found.generator.out_channels]
    preprocess = {"image_size": found.image_size, "channels": channels, "depths": [8, 8]}
    return Model({"a2b": found.generator}, ("A", "B"), preprocess, {"method": found.method, "from": found.toolkit}, 0)


def checksum(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 checksum of a model file's tensors and header, as `sha256:` and hexadecimal digits.

    Args:
        metadata: the header's text; the checksum in it is left out.
        tensors: all tensors by their names in the file, on the CPU.
    """
    digest = hashlib.sha256()
    for key in sorted(metadata.keys() - {CHECKSUM}):
        digest.update(json.dumps([key, metadata[key]]).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such model file") from None
    except (SafetensorError, OSError) as error:
        if path.suffix.lower() in _EXPORTED:
            raise UsageError(
                f"{path} is an exported model, which only translates; give the model file that it was made from"
            ) from None
        reason = str(error).splitlines()[0][:200]
        raise UsageError(f"{path} is not an i2i model file ({reason}); expected RUN/model.safetensors") from None


def _header_of(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        wrote = metadata.get("made_by", "another program")[:60]
        found = metadata.get("format", "no format")[:60]
        raise UsageError(f"{path}: written by {wrote} with {found}, and this i2i reads {FORMAT}; {_advice(metadata)}")
    try:
        return decode(metadata)
    except ValueError as error:
        raise UsageError(f"{path} is a damaged model file: {error}; {MEND}") from None


def _verify(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(metadata, tensors):
        raise UsageError(f"{path} is damaged or was changed: its checksum differs; {MEND}")
    for name, tensor in tensors.items():
        # The sum of finite values is finite unless it overflows, and takes a tenth of the time.
        if not bool(tensor.sum().isfinite()) and not bool(tensor.isfinite().all()):
            raise UsageError(f"{path} is a damaged model file: {name} has NaN or infinite values; {MEND}")


def _advice(metadata: Mapping[str, str]) -> str:
    if metadata.get("format", "").startswith("i2i-model/"):
        return "upgrade it: pip install --upgrade i2i-toolkit"
    return "expected RUN/model.safetensors of i2i train"
