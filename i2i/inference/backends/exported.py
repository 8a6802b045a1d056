"""Backends that run an exported network: a file that `i2i export` wrote, or a network exported in memory."""

from __future__ import annotations

import importlib
import importlib.util
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from i2i.config import MOST_CHANNELS
from i2i.errors import UsageError, setting, unknown
from i2i.images.outputs import with_weights
from i2i.inference.backends.base import Backend
from i2i.inference.memory import out_of_memory
from i2i.inference.tiling.tiler import Tiler
from i2i.model_file.header import decode
from i2i.plugins import submodules
from i2i.registry import Registry

if TYPE_CHECKING:
    from hashlib import _Hash

FORMAT = "i2i-export/1"
_NETWORK = "network"
_MOST_VALUES = 2**16  # of a latent, pixels of a side, bytes of a pixel
_LARGEST_MULTIPLE = 2**12  # pixels: what an image is padded to, at most
Shape: TypeAlias = Sequence[int | None] | None  # None where the network takes any


@dataclass(frozen=True)
class ExportedNetwork:
    """What the header of an exported file says of its network.

    Attributes:
        direction: `a2b` or `b2a`.
        in_channels: channels of the input.
        out_channels: channels of the output.
        multiple: height and width of the input are multiples of this,
        smallest: and at least this.
        latent: length of the latent; 0 where it takes none.
        size: height and width of the input, where the file takes no other; 0 where it takes any.
        bytes_per_pixel: about how much memory a pixel of the input takes on its way through the network.
        precision: `fp32`, `fp16` (of the weights in the file; computed in float32) or `int8`.
    """

    direction: str
    in_channels: int
    out_channels: int
    multiple: int = 1
    smallest: int = 1
    latent: int = 0
    size: int = 0
    bytes_per_pixel: int = 0
    precision: str = "fp32"


class ExportedBackend(Backend):
    """A network that a library for deployment runs on the CPU.

    A subclass says which files it runs and what it needs, and implements `_open`, `_metadata`, `_shapes` and `_run`; it
    registers itself in `exported_backends` and is found in this folder.

    Attributes:
        suffixes: of the files that it runs.
        module: the Python module that it needs, which the extra of the backend's name installs.
        rank: where several can run a file, `auto` takes the installed one of the lowest rank.
        header: of the file, as `i2i.model_file.read_header` gives it.
        network: what the header says of the network.
        tiles_by: what translates tiles, where a network was exported in memory: PyTorch, whose tiles are exact.
    """

    suffixes: ClassVar[tuple[str, ...]]
    module: ClassVar[str]
    rank: ClassVar[int] = 0
    tiles_by: Backend | None = None

    def __init__(self, source: Path | bytes) -> None:
        self._source = source
        name = source.name if isinstance(source, Path) else "the exported network"
        if isinstance(source, Path) and not source.is_file():
            raise UsageError(f"{source!s}: there is no such file")
        try:
            self._open(source)
            metadata = self._metadata()
        except Exception as error:  # each library has its own, and none is known for all damaged files
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1][:200]
            raise UsageError(f"{name} can't be opened ({reason}); export the model again: i2i export") from None
        self.header, self.network = read_metadata(name, metadata)
        self.spec = str(self.header["maps"][self.network.direction])
        self.in_channels, self.out_channels = self.network.in_channels, self.network.out_channels
        if (found := _differs(*self._shapes(), self.network)) is not None:
            raise UsageError(f"{name} is damaged: its header says otherwise than its network, which has {found}")
        self.multiple, self.smallest, self.latent = self.network.multiple, self.network.smallest, self.network.latent
        if self.network.size:
            self.multiple, self.smallest, self.window = 1, self.network.size, self.network.size

    @abstractmethod
    def _open(self, source: Path | bytes) -> None:
        """Open a file, or what is in memory."""

    @abstractmethod
    def _metadata(self) -> Mapping[str, str]:
        """The header's text, once it is open."""

    @abstractmethod
    def _shapes(self) -> tuple[Sequence[Shape], Shape]:
        """The shapes of the inputs, and that of the output."""

    @abstractmethod
    def _run(self, x: NDArray[np.float32], z: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Translate images; see `__call__`."""

    def __call__(self, x: NDArray[np.float32], z: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Translate images; see `Backend.__call__`.

        Raises:
            MemoryError: memory doesn't suffice.
            RuntimeError: the library can't run the network on such images.
        """
        try:
            return self._run(x, z)
        except Exception as error:  # of a class of the library's own
            reason = " ".join(str(error).split())[-300:] or type(error).__name__
            if out_of_memory(error):
                raise MemoryError(f"{self.module}: {reason}") from None
            raise RuntimeError(f"{self.module} can't translate an image of {x.shape[2:]}: {reason}") from error

    def tiler(self) -> Tiler:
        """What translates an image tile by tile; see `tiles_by`."""
        return self.tiles_by.tiler() if self.tiles_by else super().tiler()

    def memory_per_pixel(self) -> float | None:
        """About how many bytes a pixel of the input takes, as measured in PyTorch when it was exported."""
        return self.network.bytes_per_pixel or None

    def hash_weights(self, digest: _Hash) -> None:
        """Add the whole file to a checksum."""
        super().hash_weights(digest)
        source = self._source
        for data in [source] if isinstance(source, bytes) else (file.read_bytes() for file in with_weights(source)):
            digest.update(data)

    @classmethod
    def installed(cls) -> bool:
        """Whether the library is there; it isn't imported."""
        return importlib.util.find_spec(cls.module) is not None

    @classmethod
    def why_unusable(cls) -> str:
        """Why the library can't be imported; empty if it can."""
        if not cls.installed():
            return "isn't installed"
        try:
            importlib.import_module(cls.module)
        except Exception as error:  # such as a library of the system that is missing or too old
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1][:200]
            return f"is installed, but can't be imported ({reason})"
        return ""


exported_backends: Registry[ExportedBackend] = Registry("backend", base=ExportedBackend)


def backends_by_name() -> Mapping[str, type[ExportedBackend]]:
    """The backends that run exported files, by name; none of their libraries is imported yet."""
    for module in submodules("i2i.inference.backends"):
        if not module.endswith(".torch"):  # which runs no exported file, and takes seconds to import
            importlib.import_module(module)
    return exported_backends  # type: ignore[return-value]


def is_export(file: Path) -> bool:
    """Whether a file is an exported network, by its suffix."""
    return any(file.suffix.lower() in backend.suffixes for backend in backends_by_name().values())


def fastest_backend() -> str:
    """The backend that is probably the fastest one for a network on this machine's CPU, of those installed."""
    able = {name: cls for name, cls in backends_by_name().items() if ".onnx" in cls.suffixes}
    usable = _first_usable(able) if importlib.util.find_spec("onnx") else None
    return usable or "torch"


def open_export(source: Path | bytes, backend: str = "auto") -> ExportedBackend:
    """Open an exported file, or what would be in one.

    Args:
        source: the file or its bytes.
        backend: the name of a backend; `auto` and `fastest` take the fastest one that is installed.

    Raises:
        UsageError: there is no such backend, it isn't installed or doesn't run such files, or the file is damaged.
    """
    known = backends_by_name()
    suffix = source.suffix.lower() if isinstance(source, Path) else ".onnx"
    able = {name: cls for name, cls in known.items() if suffix in cls.suffixes}
    if backend in ("auto", "fastest"):
        if (usable := _first_usable(able)) is not None:
            return able[usable](source)
        needed = " or ".join(f"{cls.module}, which {cls.why_unusable()}" for cls in able.values())
        install = " or ".join(f'pip install "i2i-toolkit[{name}]"' for name in able)
        raise UsageError(f"{suffix} files need {needed}: {install}")
    if backend not in known and backend != "torch":
        raise unknown("backend", backend, ("auto", "fastest", "torch", *known))
    if backend not in able:
        use = " or ".join(setting("backend", name) for name in ("auto", *able))
        raise UsageError(f"{setting('backend', backend)} doesn't run {suffix} files; use {use}")
    if reason := able[backend].why_unusable():
        raise UsageError(f'{setting("backend", backend)} {reason}: pip install "i2i-toolkit[{backend}]"')
    return able[backend](source)


def _first_usable(backends: Mapping[str, type[ExportedBackend]]) -> str | None:
    """The name of the fastest of these backends whose library can be imported."""
    ranked = sorted(backends, key=lambda name: backends[name].rank)
    return next((name for name in ranked if not backends[name].why_unusable()), None)


def write_metadata(header: Mapping[str, Any], network: ExportedNetwork) -> dict[str, str]:
    """The metadata of an exported file: the entries of its model file's header, and the network's."""
    entries = {key: value if isinstance(value, str) else json.dumps(value) for key, value in header.items()}
    entries.pop("checksum", None)
    return {**entries, "format": FORMAT, _NETWORK: json.dumps(asdict(network))}


def read_metadata(name: str, metadata: Mapping[str, str]) -> tuple[dict[str, Any], ExportedNetwork]:
    """The header of an exported file, and what it says of the network.

    Raises:
        UsageError: another program wrote it, or it is damaged.
    """
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "no format")[:60]
        raise UsageError(f"{name} has {found} where {FORMAT} is needed; write it with: i2i export MODEL {name}")
    try:
        header = decode({key: value for key, value in metadata.items() if key != _NETWORK})
        network = _network(json.loads(metadata.get(_NETWORK, "null")))
        if network.direction not in header["maps"]:
            raise ValueError(f"it has no network {network.direction}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is a damaged export: {error}; export the model again: i2i export") from None
    return header | {_NETWORK: asdict(network)}, network


def _network(entry: Any) -> ExportedNetwork:
    if not isinstance(entry, dict) or entry.keys() != {field.name for field in fields(ExportedNetwork)}:
        raise ValueError("its header does not describe the network")
    network = ExportedNetwork(**entry)
    if network.direction not in ("a2b", "b2a") or network.precision not in ("fp32", "fp16", "int8"):
        raise ValueError("its header has an unknown direction or precision")
    counts = {
        "in_channels": (1, MOST_CHANNELS),
        "out_channels": (1, MOST_CHANNELS),
        "multiple": (1, _LARGEST_MULTIPLE),
        "smallest": (1, _LARGEST_MULTIPLE),
        "latent": (0, _MOST_VALUES),
        "size": (0, _MOST_VALUES),
        "bytes_per_pixel": (1, _MOST_VALUES),
    }
    for name, (least, most) in counts.items():
        if type(count := getattr(network, name)) is not int or not least <= count <= most:
            raise ValueError(f"{name} is {str(count)[:60]} in its header, and should be from {least} to {most}")
    return network


def _differs(inputs: Sequence[Shape], output: Shape, network: ExportedNetwork) -> str | None:
    """What the graph of a file has that its header doesn't say; None if the two agree."""
    if len(inputs) != (2 if network.latent else 1):
        return f"{len(inputs)} inputs"
    side = network.size or None
    declared = [
        (None, network.in_channels, side, side),
        (None, network.latent),
        (None, network.out_channels, side, side),
    ]
    found = [("an image", inputs[0]), ("a latent", inputs[1] if network.latent else None), ("an output", output)]
    for (what, shape), expected in zip(found, declared, strict=True):
        if shape is not None and not _agree(shape, expected):
            return f"{what} of shape {tuple(shape)}"
    if inputs[0] is not None and side and inputs[0][2] != side:
        return "an image of any size"
    return None


def _agree(shape: Sequence[int | None], declared: Sequence[int | None]) -> bool:
    """Whether a graph's shape, with None for any length, is the one that was declared."""
    if len(shape) != len(declared):
        return False
    return all(found in (None, length) for found, length in zip(shape[1:], declared[1:], strict=True))
