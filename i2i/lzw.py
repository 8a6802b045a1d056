"""LZW as TIFF files use it, unpacked by NumPy: checked, bounded, and silent, unlike libtiff.

Source: TIFF revision 6.0, section 13. An entry of its table is what the decoder wrote before, and one byte more. So
every code but the literal bytes copies earlier output, and copies of copies are followed for all bytes at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CLEAR, _END, _FIRST = 256, 257, 258
_TABLE = 4096  # entries that 12 bits can name
_BLOCKS = 16  # from one clear code to the next, that are unpacked together

_LOCAL = np.arange(_TABLE)
# Before the n-th code after a clear code the table holds n - 1 entries; codes grow one entry before they must.
_WIDTHS = np.select([_LOCAL <= 253, _LOCAL <= 765, _LOCAL <= 1789], [9, 10, 11], 12)
_OFFSETS = np.concatenate([[0], np.cumsum(_WIDTHS)])


class LzwError(ValueError):
    """The data is no LZW, or holds more than it should."""


def unpack_lzw(data: bytes | memoryview, size: int) -> bytes:
    """The bytes of a strip or tile, `size` of them, or fewer where the data ends before.

    Raises:
        LzwError: the data is damaged, or of the kind before TIFF 6.0, whose bits run the other way.
    """
    padded = np.zeros(len(data) + 4, np.uint32)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    # The 32 bits from each byte on, so that each code is read at once.
    words: NDArray[Any] = (padded[:-3] << 24) | (padded[1:-2] << 16) | (padded[2:-1] << 8) | padded[3:]
    at, total, done = 0, 8 * len(data), False
    out, waiting, held = bytearray(), [], 0
    if total >= 9 and words[0] >> 23 == _CLEAR:
        at = 9
    elif total >= 16 and data[0] == 0 and data[1] & 1:
        raise LzwError("it is packed by the LZW of before TIFF 6.0")
    while not done and len(out) + held < size:
        codes, at, done = _block(words, at, total)
        waiting.append(codes)
        held += len(codes)
        if len(waiting) == _BLOCKS:
            out += _copied(waiting, size - len(out))
            waiting, held = [], 0
    if waiting:
        out += _copied(waiting, size - len(out))
    return bytes(memoryview(out)[:size])


def _block(words: NDArray[Any], at: int, total: int) -> tuple[NDArray[Any], int, bool]:
    """The codes up to the next clear code, the bit after that, and whether nothing follows."""
    count = int(np.searchsorted(_OFFSETS, total - at, side="right")) - 1
    bits = at + _OFFSETS[: max(count, 0)]
    shifts = 32 - _WIDTHS[: len(bits)] - (bits & 7)
    codes = (words[bits >> 3] >> shifts.astype(np.uint32)) & ((1 << _WIDTHS[: len(bits)]) - 1)
    codes = codes.astype(np.int32)
    stops = np.flatnonzero((codes & ~1) == _CLEAR)
    if len(stops):
        stop = int(stops[0])
        return codes[:stop], at + int(_OFFSETS[stop + 1]), int(codes[stop]) == _END
    if len(codes) == _TABLE:
        raise LzwError("its table overflows")
    return codes, total, True


def _copied(blocks: list[NDArray[Any]], size: int) -> bytes:
    codes = np.concatenate(blocks)
    if not len(codes):
        return b""
    local = np.concatenate([np.arange(len(block), dtype=np.int32) for block in blocks])
    if (codes >= _FIRST + local).any():
        raise LzwError("a code of it names no entry of the table")
    place = np.arange(len(codes), dtype=np.int32)
    copies = codes >= _FIRST
    # Code i that names entry e writes again what code e wrote, and the byte after it.
    parents = np.where(copies, place - local + codes - _FIRST, place)
    lengths = copies.astype(np.int64)
    ancestors = parents
    while (older := ancestors[ancestors]).tobytes() != ancestors.tobytes():
        lengths += lengths[ancestors]
        ancestors = older
    lengths += 1
    ends = np.cumsum(lengths)
    if ends[-1] - lengths[-1] >= size:  # more than is asked for; whole codes suffice
        keep = int(np.searchsorted(ends, size)) + 1
        codes, parents, lengths, ends = codes[:keep], parents[:keep], lengths[:keep], ends[:keep]
    starts = (ends - lengths).astype(np.int32)
    sources = np.arange(ends[-1], dtype=np.int32) - np.repeat(starts - starts[parents], lengths)
    for _ in range(int(2 * lengths.max()).bit_length()):
        sources = sources[sources]
    unpacked: NDArray[np.uint8] = np.repeat(codes.astype(np.uint8), lengths)[sources]
    return unpacked.tobytes()
