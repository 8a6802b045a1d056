"""Backends that run an exported network: a file that `i2i export` wrote, or a network exported in memory."""

from __future__ import annotations

import importlib
import importlib.util
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from i2i.errors import UsageError, setting, unknown
from i2i.images.outputs import with_weights
from i2i.inference.backends.base import Backend
from i2i.inference.tiling.tiler import Tiler
from i2i.model_file.header import decode
from i2i.plugins import submodules
from i2i.registry import Registry

if TYPE_CHECKING:
    from hashlib import _Hash

FORMAT = "i2i-export/1"
_NETWORK = "network"
_MOST = 2**16  # channels, pixels


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

    A subclass says which files it runs and what it needs, and implements `_open`, `_metadata`, `_channels` and
    `__call__`; it registers itself in `exported_backends` and is found in this folder.

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
        for given, taken in zip(self._channels(), (self.in_channels, self.out_channels), strict=True):
            if given not in (taken, None):
                raise UsageError(f"{name} is damaged: a network of {given} channels says that it has {taken}")
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
    def _channels(self) -> tuple[int | None, int | None]:
        """Channels of the input and of the output, where the network says so."""

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
        """Whether the library is there."""
        return importlib.util.find_spec(cls.module) is not None


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
    able = {cls.rank: name for name, cls in backends_by_name().items() if cls.installed() and ".onnx" in cls.suffixes}
    return able[min(able)] if able and importlib.util.find_spec("onnx") else "torch"


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
        for cls in sorted(able.values(), key=lambda cls: cls.rank):
            if cls.installed():
                return cls(source)
        needed = " or ".join(f'pip install "i2i-toolkit[{name}]"' for name in able)
        raise UsageError(f"{suffix} files need a library that isn't installed: {needed}")
    if backend not in known and backend != "torch":
        raise unknown("backend", backend, ("auto", "fastest", "torch", *known))
    if backend not in able:
        use = " or ".join(setting("backend", name) for name in ("auto", *able))
        raise UsageError(f"{setting('backend', backend)} doesn't run {suffix} files; use {use}")
    if not able[backend].installed():
        raise UsageError(f'{setting("backend", backend)} isn\'t installed: pip install "i2i-toolkit[{backend}]"')
    return able[backend](source)


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
    counts = [network.in_channels, network.out_channels, network.multiple, network.smallest]
    if not all(type(n) is int and 1 <= n <= _MOST for n in counts):
        raise ValueError(f"{counts} in its header are not channels and pixels")
    counts = [network.latent, network.size, network.bytes_per_pixel]
    if not all(type(n) is int and 0 <= n <= _MOST for n in counts):
        raise ValueError(f"{counts} in its header are not numbers of values, pixels and bytes")
    return network
