"""Images damaged in every way that a seed gives: refused in words or read, in time, in memory, and in silence.

`python test_hostile_images.py` does the same and prints what became of them.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)] if __name__ == "__main__" else []

from i2i.errors import ImageError  # noqa: E402
from i2i.images.decoded import DecodedImage  # noqa: E402
from i2i.images.reading import read  # noqa: E402
from support.forked import Server  # noqa: E402
from support.images import noise, png, tiff  # noqa: E402

ROUNDS = 36  # mutations of each file
SECONDS = 10
MAX_MEGAPIXELS = 2  # which allow 16 MB decoded
REASONS = re.compile(
    r"an empty file"
    r"|not an image that can be read(: [\w .;,():]+)?"
    r"|truncated: the file ends before its image does"
    r"|damaged: (its?|one of its|a row of it|a chunk is|a segment is|a part of it|the checksum of its|a code of it)"
    r" [\w ',();/%-]+"
    r"|damaged or truncated: it is a TIFF without an image"
    r"|\d+ x \d+ pixels( of \S+ bytes are \d+ MB)?, more than the \d+ (million|MB) that are allowed; if you trust it: "
    r"max_megapixels=\d+"
    r"|more pixels than are allowed; if you trust it, raise max_megapixels"
    r"|a file of \d+ MB, more than the \d+ MB that are allowed; if you trust it: max_megapixels=\d+"
    r"|its compression \([\w ]+\) can't be read; save it with deflate"
    r"|a volume can't be read; save each slice of it as an image"
    r"|its colours \(\w+\) can't be read; save it as grey or RGB"
    r"|channels of (\d+|\([\d, ]+\)) bit, sample format \d+, can't be read; save it as 16 bit"
    r"|floats of 8 bit can't be read; save it as 32-bit float"
    r"|predictor \d+ of \d+ bit can't be read; save it without"
    r"|a JPEG of a kind that can't be read \(\d+ bit, process \d+\); save it again"
    r"|\d+-bit integers up to \d+, of which 65535 is the highest that can be read; scale them to 16 bit, or to floats "
    r"in \[0, 1\]"
    r"|values down to -\d+; give uint8 or uint16 pixels, or floats in \[0, 1\]"
    r"|\d+ of its \d+ values are NaN or infinite; fill them first"
    r"|floats from \S+ to \S+; in a file they lie in \[0, 1\]: scale them first"
    r"|values of [^\n]{1,60}; give uint8 or uint16 pixels, or floats in \[0, 1\]"
    r"|an array of (shape \([\d, ]*\); an image is \(H, W\) or \(H, W, C\)|a kind that holds no image)"
)


class Sample(NamedTuple):
    """A good file, and the bytes of it that a checksum protects."""

    name: str
    data: bytes
    checked: tuple[int, int] | None = None


def saved(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rows_of(width: int, height: int, bits: int, seed: int) -> list[bytes]:
    return [row.tobytes() for row in noise(height, -(-width * bits // 8), seed=seed)]


def interlaced_png(width: int, height: int) -> bytes:
    """RGB by Adam7 (PNG specification, 8.2), all rows unfiltered."""
    pixels, raw = noise(height, width, 3), b""
    for left, top, across, down in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]:
        raw += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::across])
    raw += b"".join(b"\0" + row.tobytes() for row in pixels[1::2])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pngs() -> Iterator[Sample]:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            extra = [(b"PLTE", noise(2**depth, 3).tobytes())] if colour == 3 else []
            rows = rows_of(13, 9, depth * channels[colour], seed=depth)
            yield Sample(f"png{colour}-{depth}", png((13, 9), depth, colour, rows, *extra))
    yield Sample("png-interlaced", interlaced_png(13, 11))
    yield Sample("png-key", png((13, 9), 8, 2, rows_of(13, 9, 24, 1), (b"tRNS", bytes(6))))
    yield Sample("png-key16", png((13, 9), 16, 0, rows_of(13, 9, 16, 1), (b"tRNS", bytes(2))))
    about = [
        (b"iCCP", b"x\0\0" + zlib.compress(bytes(99))),
        (b"pHYs", bytes(9)),
        (b"tEXt", b"a\0b"),
        (b"eXIf", b"MM\0*"),
    ]
    yield Sample("png-about", png((13, 9), 8, 2, rows_of(13, 9, 24, 2), *about))
    frames = [Image.fromarray(noise(9, 13, 3, seed=n)) for n in range(3)]
    yield Sample("apng", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))


def tiffs() -> Iterator[Sample]:
    import tifffile

    def checked(name: str, data: bytes) -> Sample:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            return Sample(name, data, (page.dataoffsets[0], page.dataoffsets[-1] + page.databytecounts[-1]))

    for name, options in {
        "strips": {"rowsperstrip": 4},
        "tiles": {"tile": (16, 16)},
        "planes": {"planes": True},
        "big": {"bigtiff": True},
        "mm": {"byteorder": ">"},
    }.items():
        yield Sample(f"tiff-{name}", tiff(noise(20, 23, 3), **options))
        yield checked(f"tiff-{name}-deflate", tiff(noise(20, 23, 3), compression="zlib", **options))
    yield checked("tiff-predictor", tiff(noise(20, 23, 3, dtype=np.uint16), compression="zlib", predictor=True))
    for kind in ("tiff_lzw", "packbits", "tiff_lzma", "jpeg"):
        yield Sample(f"tiff-{kind}", saved(noise(20, 23, 3), "TIFF", compression=kind))
    for kind in ("zstd", "webp", "jpeg2000"):
        yield Sample(f"tiff-{kind}", tiff(noise(20, 23, 3), compression=kind, tile=(16, 16)))
    for dtype in (np.uint16, np.uint32, np.int32, np.float16, np.float32):
        pixels = noise(12, 13, 2, dtype=np.float32 if dtype == np.float32 else np.uint8).astype(dtype)
        yield Sample(f"tiff-{np.dtype(dtype)}", tiff(np.clip(pixels, 0, 1) if dtype == np.float16 else pixels))
    yield Sample("tiff-palette", saved(Image.fromarray(noise(12, 13)).convert("P"), "TIFF"))
    yield Sample("tiff-cmyk", saved(Image.fromarray(noise(12, 13, 3)).convert("CMYK"), "TIFF"))
    yield Sample("tiff-1", saved(Image.fromarray(noise(12, 13) > 99), "TIFF"))
    frames = [Image.fromarray(noise(9, 13, 3, seed=n)) for n in range(3)]
    yield Sample("tiff-pages", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]))


def others() -> Iterator[Sample]:
    image = Image.fromarray(noise(24, 30, 3))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    for name, options in {
        "": {},
        "-progressive": {"progressive": True},
        "-restarts": {"restart_marker_blocks": 2},
        "-exif": {"exif": exif},
    }.items():
        yield Sample(f"jpeg{name}", saved(image, "JPEG", **options))
    yield Sample("jpeg-cmyk", saved(image.convert("CMYK"), "JPEG"))
    yield Sample("jpeg-grey", saved(image.convert("L"), "JPEG"))
    frames = [Image.fromarray(noise(9, 13, 4, seed=n)) for n in range(3)]
    yield Sample("webp", saved(image, "WEBP"))
    yield Sample("webp-lossless", saved(frames[0], "WEBP", lossless=True, exif=exif))
    yield Sample("webp-frames", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    for mode in ("RGB", "L", "1", "RGBA"):
        yield Sample(f"bmp-{mode}", saved(image.convert(mode), "BMP"))
    yield Sample("gif", saved(image, "GIF"))
    flat = [frame.convert("RGB") for frame in frames]
    yield Sample("gif-frames", saved(flat[0], "GIF", save_all=True, append_images=flat[1:]))
    for dtype in ("u1", ">u2", "<f4"):
        buffer = io.BytesIO()
        np.save(buffer, noise(12, 13, 3, dtype=np.float32).astype(dtype))
        yield Sample(f"npy-{dtype[-2:]}", buffer.getvalue())


def flip(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


def swap(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    data[at : at + 2] = data[at : at + 2][::-1]
    return bytes(data)


def overwrite(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    data[at : at + 4] = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"][int(rng.integers(4))]
    return bytes(data)


def insert(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    return bytes(data[:at]) + rng.bytes(int(rng.integers(1, 40))) + bytes(data[at:])


def delete(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    return bytes(data[:at] + data[at + int(rng.integers(1, 40)) :])


def repeat(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    end = at + int(rng.integers(1, 40))
    return bytes(data[:end] + data[at:])


def tear(data: bytearray, at: int, rng: np.random.Generator) -> bytes:
    return bytes(data[:at])


WAYS: list[Callable[[bytearray, int, np.random.Generator], bytes]]
WAYS = [flip, flip, swap, overwrite, overwrite, insert, delete, repeat, tear]


def mutations(sample: Sample, rng: np.random.Generator) -> Iterator[tuple[bytes, bool]]:
    """Damaged copies, and whether a checksum tells of the damage."""
    for turn in range(ROUNDS):
        way = WAYS[turn % len(WAYS)]
        reach = min(len(sample.data), 200) if turn % 3 == 0 else len(sample.data)  # headers are short
        at = int(rng.integers(reach))
        start, end = (0, len(sample.data)) if sample.name.startswith(("png", "apng")) else sample.checked or (0, 0)
        stays_inside = start <= at < end - (0 if way in (flip, tear) else 40)
        yield way(bytearray(sample.data), at, rng), stays_inside and way in (flip, swap, overwrite, tear)
    if sample.name.startswith(("png", "apng")):
        yield from ((data, False) for data in edited_chunks(sample.data, rng))


def edited_chunks(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """A chunk left out, one twice, two exchanged, and headers that lie, all with right checksums."""
    chunks, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at:end])
        at = end
    index, other = rng.integers(len(chunks), size=2)
    yield data[:8] + b"".join(chunks[:index] + chunks[index + 1 :])
    yield data[:8] + b"".join(chunks[: index + 1] + chunks[index:])
    chunks[index], chunks[other] = chunks[other], chunks[index]
    yield data[:8] + b"".join(chunks)
    for _ in range(3):
        header = bytearray(data[16:29])
        header[int(rng.integers(13))] = int(rng.integers(256))
        yield data[:8] + chunk(b"IHDR", bytes(header)) + data[33:]


def deflated_zeros(count: int) -> bytes:
    """A zlib stream of 10 MB of zeros, many times: between full flushes, its blocks are the same."""
    packer = zlib.compressobj(9)
    first, block = (packer.compress(bytes(10**7)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    adler = (count * 10**7 % 65521) << 16 | 1
    return first + (count - 1) * block + b"\x03\0" + struct.pack(">I", adler)


def torn_xz_of_zeros(count: int) -> bytes:
    """The start of an xz stream of 2 MiB of zeros, many times: its first chunk, which needs no other, repeated."""
    data = lzma.compress(bytes(2**21), preset=0)
    start = 12 + 4 * (data[12] + 1)
    size = 6 + 1 + int.from_bytes(data[start + 3 : start + 5], "big")
    return data[:start] + count * data[start : start + size]


def bombs() -> Iterator[Sample]:
    """Small files that ask for much."""
    packed = deflated_zeros(30)
    good = png((16, 16), 8, 2, [bytes(48)] * 16)

    def page(*tags: tuple[int, int, int], raw: bytes) -> bytes:
        common = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 400), (277, 3, 1)]
        found = {code: (kind, value) for code, kind, value in [*common, (278, 4, 16), (279, 4, len(raw)), *tags]}
        entries = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, (kind, value) in sorted(found.items()))
        return (struct.pack("<2sHIH", b"II", 42, 8, len(found)) + entries + bytes(4)).ljust(400, b"\0") + raw

    yield Sample("deflate", page(raw=packed))
    yield Sample("float deflate", page((258, 3, 32), (339, 3, 3), raw=packed))
    yield Sample("48 channels", page((256, 4, 7900), (257, 4, 7900), (277, 3, 48), (278, 4, 7900), raw=packed))
    yield Sample("huge tiles", page((322, 4, 65520), (323, 4, 65520), (324, 4, 400), (325, 4, 9), raw=packed))
    yield Sample("packbits", page((259, 3, 32773), raw=b"\x81\0" * 100_000))
    yield Sample("lzw", page((259, 3, 5), raw=b"\x80" + bytes(100_000)))
    yield Sample("old lzw", page((259, 3, 5), raw=b"\0\1" + bytes(100_000)))
    yield Sample("zstd", page((259, 3, 50000), raw=30 * imagecodecs.zstd_encode(bytes(10**7))))
    yield Sample("lzma", page((259, 3, 34925), raw=torn_xz_of_zeros(150)))
    yield Sample("pixels", good[:33] + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    yield Sample("profile", good[:33] + chunk(b"iCCP", b"x\0\0" + packed) + good[33:])
    yield Sample("text", good[:33] + 30 * chunk(b"zTXt", b"x\0\0" + packed) + good[33:])
    yield Sample("chunks", good[:33] + 200_000 * chunk(b"tEXt", b"") + good[33:])
    jpeg = saved(Image.new("RGB", (1200, 1200)), "JPEG", progressive=True)
    scan = jpeg.rindex(b"\xff\xda")
    yield Sample("scans", jpeg[:scan] + 5000 * jpeg[scan:-2] + b"\xff\xd9")
    yield Sample("fill bytes", jpeg[:-2] + 1_000_000 * b"\xff" + b"\0\xff\xd9")
    yield Sample("description", tiff(noise(4, 5, 1), metadata=None, description='{"shape": ' + 50_000 * "["))
    yield Sample("parentheses", b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + 9000 * b"(")
    canvas = struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\0\xfe\x3f\0"
    yield Sample("canvas", b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + canvas + bytes(100))


class Outcome(NamedTuple):
    """What became of all files; of what should not be there, which."""

    mutations: int
    refused: int
    read: int
    wrong: list[str]
    reasons: dict[str, int]
    slowest: float
    megabytes: float


def try_all() -> Outcome:
    """Read every mutation and every bomb, and a file that is larger than any disk would like."""
    import resource

    for sample in others():  # what libraries load once
        read(sample.data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count, refused, slowest, wrong, reasons = 0, 0, 0.0, [], Counter[str]()
    for sample in [*pngs(), *tiffs(), *others()]:
        rng, good = np.random.default_rng(zlib.crc32(sample.name.encode())), read(sample.data)
        for turn, (data, is_checked) in enumerate(mutations(sample, rng)):
            count += 1
            begun, (image, reason) = time.perf_counter(), attempt(data)
            slowest = max(slowest, time.perf_counter() - begun)
            refused += image is None
            reasons[re.sub(r"-?\d[\d.]*(e[-+]\d+)?", "N", reason)] += image is None
            if image is None and not REASONS.fullmatch(reason):
                wrong.append(f"{sample.name} {turn}: {reason}")
            if image is not None and is_checked and not same(image, good):
                wrong.append(f"{sample.name} {turn}: read as another image")
    with tempfile.NamedTemporaryFile(suffix=".png") as sparse:
        sparse.write(saved(Image.new("L", (4, 4)), "PNG"))
        sparse.truncate(40 * 10**9)
        for source in [*(sample.data for sample in bombs()), Path(sparse.name)]:
            begun, (image, reason) = time.perf_counter(), attempt(source)
            slowest = max(slowest, time.perf_counter() - begun)
            if image is None and not REASONS.fullmatch(reason):
                wrong.append(reason)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return Outcome(count, refused, count - refused, wrong, dict(reasons.most_common()), slowest, megabytes)


def attempt(source: bytes | Path) -> tuple[DecodedImage | None, str]:
    signal.alarm(SECONDS)
    try:
        return read(source, max_megapixels=MAX_MEGAPIXELS), ""
    except ImageError as error:
        return None, str(error).removeprefix(f"{source}: " if isinstance(source, Path) else "these bytes: ")
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)


def same(one: DecodedImage, two: DecodedImage) -> bool:
    pairs = [(one.pixels, two.pixels), (one.alpha, two.alpha)]
    return all(a is b is None or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarms on this system")
def test_mutated_images_are_refused_in_words_or_read_within_bounds_and_in_silence(forks: Server) -> None:
    # A process of its own, whose stderr and memory are its alone; Python, C libraries and loggers all print there.
    child = forks.run(print_all).wait()
    assert child.stderr == ""
    assert child.code == 0
    outcome = Outcome(**json.loads(child.stdout))
    print({name: value for name, value in outcome._asdict().items() if name != "reasons"})
    assert outcome.wrong == []
    assert outcome.mutations >= 2000
    assert outcome.refused >= 1200
    assert outcome.read >= 300
    assert outcome.slowest < SECONDS
    assert outcome.megabytes < 150


def print_all() -> None:
    """Print what became of all files, as JSON."""
    print(json.dumps(try_all()._asdict(), indent=1))


if __name__ == "__main__":
    print_all()
