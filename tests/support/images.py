"""Images and files made without i2i, and a translator that changes nothing."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from i2i import Generator, Spec, Translator
from i2i.images.adapters import adapt
from i2i.images.decoded import DecodedImage, full_scale
from i2i.images.inputs import ImageLike
from i2i.images.padding import Frame, padded
from i2i.model_file import Model

_COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}  # of PNG, by channels with alpha (PNG specification, 11.2.1)


class Same(Generator):
    """Changes nothing, or adds the same to every value; remembers the shapes that it was shown."""

    def __init__(self, channels: int = 3, *, plus: float = 0.0) -> None:
        super().__init__()
        self.in_channels = self.out_channels = channels
        self.spec = Spec("same")
        self.plus, self.weight = plus, nn.Parameter(torch.ones(()))  # which says on what device it is
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return x + self.plus


def translator(generator: Generator, **preprocess: Any) -> Translator:
    return Translator.from_model(Model({"a2b": generator}, ("a", "b"), preprocess, {}, 0), device="cpu")


def same(channels: int = 3) -> Translator:
    """Changes nothing."""
    return translator(Same(channels))


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    """Random pixels of a depth; floats in [0, 1]."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def put(root: Path, *names: str, level: int = 0, size: tuple[int, int] = (4, 4)) -> None:
    """Write grey images of a single value."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, level).save(root / name)


def made(image: DecodedImage, suffix: str) -> bytes:
    """The bytes of an image file, encoded without i2i."""
    whole = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    height, width, channels = whole.shape
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, whole)
    elif suffix == ".png":
        rows = [row.astype(whole.dtype.newbyteorder(">")).tobytes() for row in whole]
        return png((width, height), 8 * whole.dtype.itemsize, _COLOUR_TYPES[channels], rows)
    elif suffix == ".tif":
        return tiff(whole, alpha=image.alpha is not None)
    else:
        flat = whole[..., 0] if channels == 1 else whole
        options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
        Image.fromarray(flat).save(buffer, Image.registered_extensions()[suffix], **options)
    return buffer.getvalue()


def png(size: tuple[int, int], depth: int, colour_type: int, rows: list[bytes], *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG chunk by chunk."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def tiff(values: NDArray[Any], *, alpha: bool = False, planes: bool = False, **options: Any) -> bytes:
    """A TIFF of values (H, W, C), by tifffile: RGB where there are three beside alpha."""
    buffer, channels = io.BytesIO(), values.shape[-1]
    colours = 3 if channels - alpha == 3 else 1
    extra = ["unspecified"] * (channels - alpha - colours) + ["unassalpha"] * alpha
    settings: dict[str, Any] = {"photometric": "rgb" if colours == 3 else "minisblack", "extrasamples": extra or None}
    if channels > 1:
        settings["planarconfig"] = "separate" if planes else "contig"
    data = values[..., 0] if channels == 1 else np.moveaxis(values, -1, 0).copy() if planes else values
    tifffile.imwrite(buffer, data, **settings | options)
    return buffer.getvalue()


def claims(suffix: str, width: int, height: int) -> bytes:
    """A small file whose header says that an image of this size follows."""
    if suffix == ".png":
        return png((width, height), 8, 0, [bytes(100)])
    if suffix == ".npy":
        buffer = io.BytesIO()
        header = {"descr": "|u1", "fortran_order": False, "shape": (height, width)}
        np.lib.format.write_array_header_1_0(buffer, header)
        return buffer.getvalue() + bytes(100)
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, 100)]
    entries = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags)
    return (struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + bytes(100)


def assert_same_image(one: DecodedImage, two: DecodedImage, *, atol: float = 0.0) -> None:
    """Assert equal depth, channels, pixels and alpha, to a tolerance in shares of white."""
    assert (one.alpha is None) == (two.alpha is None)
    for a, b in ((one.pixels, two.pixels), (one.alpha, two.alpha)):
        if a is not None and b is not None:
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            apart = np.abs(a.astype(np.float64) - b) / full_scale(a.dtype)
            assert apart.max() <= atol


def make_special(folder: Path) -> None:
    """Make a named pipe and a socket with the names of images; opening the pipe would block."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(folder / "pipe.png")
    before = Path.cwd()
    os.chdir(folder)  # the whole path of a socket may be too long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket.png")
    finally:
        os.chdir(before)


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Raise TimeoutError in what takes more than 30 seconds."""
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("no alarms on this system")

    def ring(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(30)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def enter(image: ImageLike, channels: int) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Return an image as a tensor (N, channels, H, W), and the function that turns a result into its type."""
    adapter = adapt(image, channels=channels, value_range=(-1, 1))
    _, height, width = adapter.shape

    def leave(result: Tensor) -> Any:
        adapter.write(result, top=0, left=0)
        return adapter.result()

    return torch.as_tensor(adapter.read(np.arange(height), np.arange(width))), leave


def pad(x: Tensor, *, multiple: int, smallest: int = 1) -> tuple[Tensor, Frame]:
    """Pad an image (..., H, W); return it and the position of the original."""
    rows, columns, frame = padded(*x.shape[-2:], multiple=multiple, smallest=smallest)
    return x[..., rows, :][..., columns], frame
