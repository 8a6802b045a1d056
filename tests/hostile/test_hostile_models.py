"""Model files made to break what opens them: each is refused in one line, or its weights are those of the original.

The corpus is seeded. Run this file by itself to count what becomes of it:
`python tests/hostile/test_hostile_models.py`.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)] if __name__ == "__main__" else []

from support.forked import Server  # noqa: E402

SECONDS = 10  # of computing per file
MEMORY = 8 * 2**30  # address space of the process that opens them, which torch alone fills by more than half
SPECS = {
    "unet": "unet:depth=3,width=4",
    "resnet": "resnet:blocks=1,width=4",
    "coarse_to_fine": "coarse_to_fine:blocks=1,width=4,depth=2,enhancer_blocks=1",
    "refiner": "refiner:blocks=1,width=4",
    "virtual": "unet:depth=2,width=4,norm=virtual",
    "dcgan": "dcgan:width=4,latent=4",
    "mlp": "mlp:width=4,latent=4",
}
HUGE = {
    "unet": ("depth", "width", "latent", "in_channels", "out_channels"),
    "resnet": ("blocks", "width", "in_channels", "out_channels"),
    "coarse_to_fine": ("blocks", "width", "depth", "enhancers", "enhancer_blocks", "in_channels"),
    "refiner": ("blocks", "width", "out_channels"),
    "dcgan": ("image_size", "width", "latent", "classes", "out_channels"),
    "mlp": ("image_size", "width", "latent", "layers", "classes"),
}
OTHER_TYPES: dict[str, Any] = {
    "null": None,
    "number": 3,
    "float": 2.5,
    "word": "x",
    "list": [],
    "object": {},
    "numbers": [1, 2],
    "true": True,
    "object of a list": {"a2b": ["unet"]},
    "object of null": {"a2b": None, "image_size": None, "data": None, "paths": None},
}
NOT_JSON = {
    "nested": "[" * 100_000 + "]" * 100_000,
    "nested a little": "[" * 400 + "]" * 400,
    "torn": '{"a2b": "unet',
    "empty": "",
    "NaN": "NaN",
    "long number": "9" * 100_000,
    "half a surrogate": '"\\ud800"',
}
PREPROCESS: dict[str, dict[str, Any]] = {
    "no image size": {},
    **{
        f"image size {size!r}": {"image_size": size}
        for size in (0, -1, 10**9, 10**30, "256", True, None, [256], 2.5, float("nan"), float("inf"))
    },
    **{f"channels {c!r}": {"image_size": 16, "channels": c} for c in (3, [3], [3, "3"], [0, 3], [3, 3, 3], None, "33")},
    **{f"depths {d!r}": {"image_size": 16, "depths": d} for d in (8, [8], [8, "8"], [8, 0], [10**9, 8], None, {})},
    **{f"classes {c!r}": {"image_size": 16, "classes": c} for c in (3, [3], {"a": 1}, "ab", [None], ["a", "b"])},
}
MAPS: dict[str, dict[str, str]] = {
    "no map": {},
    "an unknown direction": {"x2y": "unet"},
    "a latent's direction": {"z2b": "unet:depth=3"},
    "no spec": {"a2b": ""},
    "an unknown network": {"a2b": "nothing:at=all"},
    "an unknown option": {"a2b": "unet:scales=3,in_channels=3,out_channels=3"},
    "too long a spec": {"a2b": "unet:" + ",".join(f"o{n}=1" for n in range(50_000))},
    "a long word": {"a2b": "u" * 10**6},
    "no name": {"a2b": "un et:depth=3"},
    "a number of many digits": {"a2b": "unet:depth=" + "9" * 5000},
    "an infinite dropout": {"a2b": "unet:dropout=inf,in_channels=3,out_channels=3"},
    "no channels": {"a2b": "unet:in_channels=0,out_channels=3,depth=3,width=4"},
    "escapes": {"a2b": "unet:\x1b[2Jdepth=3"},
}


def header_and_data(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file."""
    (length,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def joined(header: dict[str, Any], data: bytes) -> bytes:
    """The file of a header and data."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def unsigned(file: bytes, **metadata: str | None) -> bytes:
    """A file as those before checksums, with other metadata; None removes an entry."""
    header, data = header_and_data(file)
    header["__metadata__"] = {
        key: value
        for key, value in (header["__metadata__"] | {"checksum": None} | metadata).items()
        if value is not None
    }
    return joined(header, data)


def with_tensors(file: bytes, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> bytes:
    """A file with other tensors and no checksum, as another program would write it."""
    from safetensors.torch import load, save

    metadata = {k: v for k, v in header_and_data(file)[0]["__metadata__"].items() if k != "checksum"}
    return save(change(load(file)), metadata)


def damaged(file: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Single bits, missing ends, and other bytes."""
    start = 8 + struct.unpack("<Q", file[:8])[0]
    for where, first, last, count in (("length", 0, 8, 8), ("header", 8, start, 40), ("data", start, len(file), 20)):
        for _ in range(count):
            index, bit = int(rng.integers(first, last)), int(rng.integers(8))
            changed = bytearray(file)
            changed[index] ^= 1 << bit
            yield f"bit {bit} of byte {index}, {where}", bytes(changed)
    for _ in range(10):
        length = int(rng.integers(0, len(file)))
        yield f"cut to {length}", file[:length]
    for _ in range(10):
        first = int(rng.integers(start, len(file) - 64))
        yield f"zeros at {first}", file[:first] + bytes(64) + file[first + 64 :]
    yield "more at its end", file + b"more"
    yield "nothing", b""
    yield "noise", rng.bytes(5000)
    yield "a pickle", b"\x80\x02}q\x00."
    for length in (2**63, 2**64 - 1, 2**32, 10**8 + 1, 0, 1):
        yield f"a header of {length}", struct.pack("<Q", length) + file[8:]


def with_other_headers(file: bytes) -> Iterator[tuple[str, bytes]]:
    """Metadata of other JSON types, that is no JSON, that is missing, or that says what can't be."""
    for key in ("maps", "modules", "domains", "preprocess", "config", "step"):
        for name, value in OTHER_TYPES.items():
            yield f"{key} {name}", unsigned(file, **{key: json.dumps(value)})
        for name, text in NOT_JSON.items():
            yield f"{key} {name}", unsigned(file, **{key: text})
        yield f"no {key}", unsigned(file, **{key: None})
    for name, preprocess in PREPROCESS.items():
        yield f"preprocess: {name}", unsigned(file, preprocess=json.dumps(preprocess))
    for name, maps in MAPS.items():
        yield f"maps: {name}", unsigned(file, maps=json.dumps(maps))
    for key in ("format", "made_by", "checksum"):
        yield f"no {key}", unsigned(file, **{key: None})
        yield f"{key} of escapes", unsigned(file, **{key: "\x1b]0;gone\x07\x1b[2J" + "x" * 10**5})
    yield "domains of escapes", unsigned(file, domains=json.dumps(["\x1b[2J\r\n", "\ud800\u202e"]))
    yield "a method of escapes", unsigned(file, config=json.dumps({"method": "\x1b[2J", "paths": ["\x1b[2J", 3]}))
    yield "data that is none", unsigned(file, config=json.dumps({"data": [1]}))
    header, data = header_and_data(file)
    names = [name for name in header if name != "__metadata__"]
    for field, values in {
        "dtype": ("F8_E4M3", "F4", "NOTHING", 3, None),
        "shape": ([], [-1], [10**18, 10**18], [0], "x", [[1]], None),
        "data_offsets": ([0, 0], [5, 1], [0, 10**18], [-1, 4], None),
    }.items():
        for value in values:
            other = {**header, names[0]: {**header[names[0]], field: value}}
            yield f"{field} {value}", joined(other, data)
    for text in ("[]", "null", "3", '{"__metadata__": 3}', '{"__metadata__": {"format": {}}}', "{", "[" * 10**6):
        yield f"the header {text[:40]}", struct.pack("<Q", len(text)) + text.encode() + data
    many = {f"a2b.{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(50_000)}
    yield "50,000 tensors", joined({"__metadata__": header_and_data(unsigned(file))[0]["__metadata__"], **many}, b"")


def with_other_tensors(file: bytes) -> Iterator[tuple[str, bytes]]:
    """Weights of other types and shapes, missing ones, more of them, NaN and infinite ones."""
    from safetensors.torch import load

    names = sorted(load(file), key=lambda name: (load(file)[name].dim(), name))
    last = names[-1]
    for dtype in (torch.int8, torch.uint8, torch.bool, torch.complex64, torch.int64, torch.float8_e4m3fn):
        yield f"all {dtype}", with_tensors(file, lambda all_, to=dtype: {n: t.to(to) for n, t in all_.items()})
        yield f"one {dtype}", with_tensors(file, lambda all_, to=dtype: {**all_, last: all_[last].to(to)})
    for name in (names[0], names[len(names) // 2], last):
        for value in (float("nan"), float("inf"), -float("inf")):

            def spoiled(all_: dict[str, Tensor], name: str = name, value: float = value) -> dict[str, Tensor]:
                tensor = all_[name].clone()
                if tensor.is_floating_point():
                    tensor.view(-1)[-1] = value
                return {**all_, name: tensor}

            yield f"{value} in {name}", with_tensors(file, spoiled)
        yield f"without {name}", with_tensors(file, lambda all_, name=name: {n: all_[n] for n in all_ if n != name})
        yield (
            f"{name} flat",
            with_tensors(file, lambda all_, name=name: {**all_, name: all_[name].reshape(-1, 1).clone()}),
        )
        yield (
            f"{name} renamed",
            with_tensors(
                file, lambda all_, name=name: {n if n != name else f"a2b.{n}": tensor for n, tensor in all_.items()}
            ),
        )
    yield "more tensors", with_tensors(file, lambda all_: {**all_, "a2b.more": torch.zeros(3)})
    yield "tensors of no map", with_tensors(file, lambda all_: {**all_, "q2r.more": torch.zeros(3)})
    yield "no tensors", with_tensors(file, lambda _: {})


def huge(files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Specs of networks that no memory holds, or that would take years to build."""
    from i2i import Spec

    for name, options in HUGE.items():
        maps = json.loads(header_and_data(files[name])[0]["__metadata__"]["maps"])
        ((direction, text),) = maps.items()
        spec = Spec.parse(text)
        for index, option in enumerate(options):
            for value in (10**9, -1, (10**18, 10**5, 0)[index % 3]):
                other = str(Spec(spec.name, {**spec.options, option: value}))
                yield f"{name}: {option}={value}", unsigned(files[name], maps=json.dumps({direction: other}))


def reference_batches(file: bytes) -> Iterator[tuple[str, bytes]]:
    """Reference batches of virtual batch norm that the network can't have seen."""
    shapes = ((1,), (0, 3), (2, 3, 16), (2, 4, 16, 16), (2, 3, 15, 16), (2, 3, 1, 1), (0, 3, 16, 16))
    for shape in shapes:
        yield (
            f"a reference batch of {shape}",
            with_tensors(file, lambda all_, shape=shape: {**all_, "a2b.reference._extra_state": torch.zeros(shape)}),
        )


def originals(folder: Path) -> dict[str, bytes]:
    """A model file of each network."""
    from i2i.model_file import Model, save_model
    from i2i.networks import build_generator, build_latent_generator

    torch.manual_seed(0)
    files = {}
    for name, spec in SPECS.items():
        latent = name in ("dcgan", "mlp")
        network: Any = (
            build_latent_generator(spec, out_channels=3, image_size=16)
            if latent
            else build_generator(spec, in_channels=3, out_channels=3)
        )
        if name == "virtual":
            network.train()(torch.rand(2, 3, 16, 16))
        maps = {"z2b" if latent else "a2b": network.eval()}
        preprocess = {"image_size": 16, "channels": (3, 3), "depths": (8, 8)}
        config = {"method": "pix2pix", "paths": ["maps"], "data": {"swap": False}}
        save_model(folder / name, Model(maps, ("map", "sat"), preprocess, config, 7))
        files[name] = (folder / name).read_bytes()
    return files


def corpus(files: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """The original, a name, and the bytes of each hostile file."""
    rng = np.random.default_rng(0)
    for name, file in files.items():
        yield name, f"{name}: as it was before checksums", unsigned(file)
    yield from (("unet", f"unet: {what}", file) for what, file in damaged(files["unet"], rng))
    yield from (("unet", f"unet: {what}", file) for what, file in with_other_headers(files["unet"]))
    yield from (("mlp", f"mlp: {what}", file) for what, file in with_other_tensors(files["mlp"]))
    yield from (("unet", f"unet: {what}", file) for what, file in with_other_tensors(files["unet"]))
    yield from (("virtual", f"virtual: {what}", file) for what, file in reference_batches(files["virtual"]))
    yield from ((what.partition(":")[0], what, file) for what, file in huge(files))


class Hang(BaseException):
    """It took too long."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """End what takes longer than it may."""

    def ring(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of work, as the machine may be busy
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def outcome(path: Path, weights: dict[str, Tensor]) -> str:
    """What becomes of a file: `refused`, `the same weights`, or what is wrong."""
    from i2i import Sampler, Translator, UsageError
    from i2i.cli import main
    from i2i.model_file import load_model

    said = io.StringIO()
    try:
        with limited(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(["info", str(path)])
        if code not in (0, 2) or not all(line.isprintable() for line in said.getvalue().splitlines()):
            return f"i2i info: code {code}, {said.getvalue()[:200]!r}"
        with limited():
            model = load_model(path)
            if "z2b" in model.generators:
                drawn: list[Any] = list(Sampler(model, device="cpu")(1))
            else:
                drawn = [Translator.from_model(model, device="cpu")(np.zeros((8, 8, 3), np.uint8))]
    except UsageError as error:
        message = str(error)
        return "refused" if "\n" not in message and len(message) < 1000 else f"too much is said: {message[:200]!r}"
    except Hang:
        return "hangs"
    except MemoryError:
        return "takes all memory"
    except Exception:
        return f"traceback: {traceback.format_exc().strip().splitlines()[-1][:200]}"
    found = {f"{way}.{name}": t for way, one in model.generators.items() for name, t in one.state_dict().items()}
    same = found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in found)
    return "the same weights" if same and len(drawn) == 1 else "other weights"


def count_outcomes() -> None:
    """Print what becomes of each file, as JSON."""
    import resource

    from i2i.model_file import load_model

    torch.set_num_threads(1)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        files = originals(Path(folder))
        weights = {}
        for name in files:
            model = load_model(Path(folder, name))
            weights[name] = {
                f"{way}.{n}": t for way, one in model.generators.items() for n, t in one.state_dict().items()
            }
        for original, name, file in corpus(files):
            path = Path(folder, "hostile.safetensors")
            path.write_bytes(file)
            found[name] = outcome(path, weights[original])
    json.dump(found, sys.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="no alarms and no limits of memory there")
def test_hostile_model_files_are_refused_in_a_line_or_open_with_the_same_weights(forks: Server) -> None:
    done = forks.run(count_outcomes).wait()
    assert done.code == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    counts = collections.Counter(found.values())
    wrong = {name: what for name, what in found.items() if what not in ("refused", "the same weights")}
    print(f"{len(found)} model files: {dict(counts.most_common(2))}, {len(wrong)} wrong")
    assert not wrong
    damage = ", length", ", header", ", data", ": cut to", ": zeros at"
    assert {what for name, what in found.items() if any(one in name for one in damage)} == {"refused"}
    assert len(found) >= 400
    assert counts["refused"] >= 300
    assert counts["the same weights"] >= len(SPECS)


if __name__ == "__main__":
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        count_outcomes()
    kinds: dict[str, list[str]] = collections.defaultdict(list)
    for name, what in json.loads(said.getvalue()).items():
        kinds[what].append(name)
    for what, names in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        print(f"{len(names):4} {what}: {', '.join(name[:60] for name in names[:4])}")
