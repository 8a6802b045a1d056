"""What an app may hand over instead of an image: each is an ImageError in one line, or gives the right result.

A translator that changes nothing stands for all: what comes back must be what went in. The corpus is seeded.
"""

from __future__ import annotations

import collections
import io
import itertools
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

sys.path.append(str(Path(__file__).parents[1]))  # for `python tests/hostile/test_hostile_arrays.py`

from i2i import ImageError, UsageError
from support.images import png, same

RNG = np.random.default_rng(0)
KINDS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "c8", "c16", "O", "M8[s]", "U1")
SHAPES = (
    (),
    (4,),
    (5, 7),
    (5, 7, 1),
    (5, 7, 2),
    (5, 7, 3),
    (5, 7, 4),
    (5, 7, 5),
    (3, 15, 17),
    (2, 5, 7, 3),
    (1, 2, 5, 7, 3),
    (0, 7, 3),
    (5, 0, 3),
    (5, 7, 0),
)


def values(kind: str, shape: tuple[int, ...]) -> Any:
    """Numbers from 0 to 1 for floats, levels else."""
    pixels = RNG.integers(0, 200, shape)
    return (pixels / 255 if np.dtype(kind).kind in "fc" else pixels).astype(kind)


def arrays() -> Iterator[tuple[str, Any]]:
    """Every type by every shape, both byte orders, and other memory layouts."""
    for kind, shape in itertools.product(KINDS, SHAPES):
        yield f"array {kind} {shape}", values(kind, shape)
    for kind, shape in itertools.product(("u2", "f2", "f4", "f8"), ((5, 7), (5, 7, 3))):
        yield f"big-endian array {kind} {shape}", values(kind, shape).astype(f">{kind}")
    for kind in ("u1", "u2", "f4", "f8"):
        array = values(kind, (10, 14, 3))
        fixed = values(kind, (5, 7, 1))
        fixed.flags.writeable = False
        yield f"{kind} with steps", array[::2, ::-2]
        yield f"{kind} upside down", array[::-1, ::-1, ::-1]
        yield f"{kind} in Fortran's order", np.asfortranarray(array)
        yield f"{kind} of one value", np.broadcast_to(array[:1, :1, :1], (5, 7, 3))
        yield f"{kind} that can't be written", fixed
        yield f"{kind} unaligned", np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(kind).reshape(array.shape)
    for value in (np.nan, np.inf, -np.inf, 2.0, -2.0, 1e30, 255.0):
        for kind in ("f2", "f4", "f8"):
            array = values(kind, (5, 7, 3))
            with np.errstate(over="ignore"):
                array[2, 3, 1] = value
            yield f"{kind} with {value}", array
    for array in (values("u1", (5, 7, 3)), values("f4", (5, 7, 3))):
        yield "masked", np.ma.masked_array(array, mask=array > 0.5)
        yield "a subclass", array.view(type("Own", (np.ndarray,), {}))
        yield "a record array", array.view(np.recarray)
        yield "a matrix", array[..., 0].view(np.matrix)
    yield "structured", np.zeros((5, 7), [("r", "u1"), ("g", "u1")])
    yield "a numpy number", np.uint8(3)


def tensors() -> Iterator[tuple[str, Any]]:
    """Every type by every shape, other layouts, devices and subclasses."""
    kinds = [one for one in vars(torch).values() if isinstance(one, torch.dtype)]
    for kind in sorted(set(kinds), key=str):
        for shape in ((5, 7), (3, 5, 7), (2, 3, 5, 7), (5, 7, 3), (0, 5, 7), (1, 5, 7), (6, 5, 7), (15, 17, 3)):
            try:
                yield f"tensor {kind} {shape}", torch.from_numpy(values("f4", shape) * 2 - 1).to(kind)
            except (RuntimeError, TypeError, NotImplementedError):  # PyTorch makes no such tensor
                continue
    x = torch.rand(3, 5, 7) * 2 - 1
    yield "meta", torch.empty(3, 5, 7, device="meta")
    yield "sparse", x.to_sparse()
    yield "sparse rows", x[0].to_sparse_csr()
    yield "nested", torch.nested.nested_tensor([x, x])
    yield "a parameter", nn.Parameter(x)
    yield "with a graph", nn.Parameter(x) * 1
    yield "negative in its bits", torch.complex(x, x).conj().imag
    yield "of one value", x[:1, :1, :1].expand(3, 5, 7)
    yield "channels last", x[None].to(memory_format=torch.channels_last)
    yield "a subclass", x.as_subclass(type("Own", (Tensor,), {}))
    for value in (float("nan"), float("inf"), 1.5, -300.0):
        yield f"tensor with {value}", x.index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(value))
    with torch.inference_mode():
        inference = x * 1
    yield "made in inference mode", inference
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(x)
    yield "a tensor that only claims to hold values", fake


def images(folder: Path) -> Iterator[tuple[str, Any]]:
    """PIL images of every mode, that were closed, or whose files are damaged; and the like of files."""
    modes = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "La", "RGBa", "RGBX")
    for mode in (*modes, "I;16", "I;16B", "I;16L", "I;16N"):
        yield f"PIL {mode}", Image.new(mode, (7, 5))
    image = Image.fromarray(values("u1", (5, 7, 3)))
    yield "PIL without a size", Image.new("RGB", (0, 5))
    yield "PIL of nothing", Image.Image()
    whole = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole, "PNG")
    data = whole.getvalue()
    for name, content in (("whole", data), ("torn", data[:4000]), ("flipped", data[:3000] + b"\xff" + data[3001:])):
        (folder / f"{name}.png").write_bytes(content)
    with Image.open(folder / "torn.png") as torn:
        yield "PIL of a torn file", torn
    closed = Image.open(folder / "whole.png")
    closed.close()
    yield "PIL closed before it was read", closed
    read = image.copy()
    read.close()
    yield "PIL closed", read
    late = io.BytesIO(data)
    behind = Image.open(late)
    late.close()
    yield "PIL of a closed file", behind
    for kind in (bytes, bytearray, memoryview, io.BytesIO):
        for name, content in (("whole", data), ("torn", data[:4000]), ("empty", b""), ("noise", RNG.bytes(999))):
            yield f"{kind.__name__} {name}", kind(content)  # type: ignore[operator]
    spent = io.BytesIO(data)
    spent.read()
    yield "a file at its end", spent
    yield "a closed file", late
    yield "text", io.StringIO("PNG")
    gone = memoryview(data)
    gone.release()
    yield "memory that was given back", gone
    yield "memory with steps", memoryview(data)[::2]
    with (folder / "whole.png").open("rb") as file:
        yield "an open file", file
    with (folder / "whole.png").open(encoding="latin-1") as text:
        yield "a file opened as text", text
    with (folder / "new").open("wb") as written:
        yield "a file opened to write", written
    for path in ("", "no/such.png", "\0", "x" * 5000, ".", os.fspath(folder)):
        yield f"path {path[:10]!r}", path
        yield f"Path {path[:10]!r}", Path(path)


def others() -> Iterator[tuple[str, Any]]:
    """What is no image at all."""
    for value in (None, 3, 2.5, True, [], (), {}, set(), object(), type, [values("u1", (5, 7, 3))], print, range(3)):
        yield f"{value!r:.30}", value


def outcome(given: Any) -> str:
    """`refused`, `right`, or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "a float image without values below 0")
            result = same()(given)
    except ImageError as error:
        said = str(error)
        short = "\n" not in said and len(said) < 400 + 2 * len(str(given) if isinstance(given, str | Path) else "")
        return "refused" if said and short else f"said: {said[:100]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    if isinstance(given, Image.Image):
        return "right" if result.size == given.size else "another size"
    if not isinstance(given, np.ndarray | Tensor):
        return "right" if isinstance(result, Image.Image) and result.size == (64, 64) else "another image"
    if isinstance(given, np.ndarray) and type(result) is not type(given):
        return f"a {type(given).__name__} as a {type(result).__name__}"
    if result.shape != given.shape or result.dtype != given.dtype:
        return f"{result.dtype} {tuple(result.shape)}"
    both = [x.astype("f8") if isinstance(x, np.ndarray) else x.detach().double().numpy() for x in (given, result)]
    return "right" if np.allclose(*both, rtol=0, atol=1e-6) else "other values"


def test_what_an_app_hands_over_is_refused_in_a_line_or_comes_back(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what PyTorch thinks of such tensors
        made = list(tensors())
    corpus = itertools.chain(arrays(), made, images(tmp_path), others())
    found = [(name, outcome(given)) for name, given in corpus]
    counts = collections.Counter(what for _, what in found)
    wrong = [(name, what) for name, what in found if what not in ("refused", "right")]
    print(f"{len(found)} inputs: {counts['refused']} refused, {counts['right']} right, {len(wrong)} wrong")
    assert not wrong
    assert counts["refused"] >= 300
    assert counts["right"] >= 100


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.ma.masked_array(np.zeros((5, 7), np.uint8)), r"whose mask would be lost.*image.filled\(0\)"),
        (np.zeros((5, 7), np.uint8).view(np.matrix), r"a numpy matrix; give a plain array: numpy.asarray\(image\)"),
        (np.zeros((3, 15, 17), np.uint8), r"\(3, 15, 17\) looks like \(C, H, W\).*image.transpose\(1, 2, 0\)"),
        (torch.zeros(15, 17, 3), r"\(15, 17, 3\) looks like \(H, W, C\).*image.permute\(2, 0, 1\)"),
        (torch.zeros(2, 15, 17, 3), r"looks like \(H, W, C\).*images.permute\(0, 3, 1, 2\)"),
        (np.zeros((2, 15, 17, 3), np.uint8), r"several go to .batch\(\)"),
        ([np.zeros((5, 7), np.uint8)], r"list is not an image; for several images use .*\.batch\(images\)"),
        (torch.empty(3, 5, 7, device="meta"), "meta device"),
        (torch.zeros(3, 5, 7).to_sparse(), r"image.to_dense\(\)"),
        (torch.zeros(3, 5, 7).to(torch.float8_e5m2), "a tensor of torch.float8_e5m2; give uint8"),
        (io.StringIO("PNG"), r"open\(path, 'rb'\)"),
        (np.full((5, 7), np.nan), "NaN or infinite"),
        (np.full((5, 7), 200.0), r"200 to 200, outside of \[-1, 1\]; give value_range=\(BLACK, WHITE\)"),
    ],
)
def test_an_error_says_what_to_give(given: Any, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        same()(given)


@pytest.mark.parametrize("value_range", [(0, 0), (1, 0), (0,), (0, 1, 2), "01x", 3, (0, float("nan")), (None, 1)])
def test_an_invalid_value_range_is_refused(value_range: Any) -> None:
    with pytest.raises(UsageError, match=r"give the values of black and white, such as \(0, 1\)"):
        same()(np.zeros((5, 7)), value_range=value_range)


def test_files_in_memory_and_open_ones_give_what_the_path_gives(tmp_path: Path) -> None:
    data = png((7, 5), 8, 2, [bytes(range(row, row + 21)) for row in range(5)])
    (tmp_path / "image.png").write_bytes(data)
    expected = same()(tmp_path / "image.png").tobytes()
    with (tmp_path / "image.png").open("rb") as file:
        for given in (data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            assert same()(given).tobytes() == expected
