"""Integrity of a checkpoint: its archive, its checksum, and the types of its values."""

from __future__ import annotations

import errno
import hashlib
import math
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_MOST_VALUES = 1_000_000  # in a checkpoint; real ones have thousands
_MOST_TIMES, _MOST_MORE = 8, 2**28  # how often, and for how many more bytes, memory may be shared
_PICKLED = {"collections", "torch", "torch._utils", "torch.storage"}  # modules that a pickled tensor imports


class Damaged(ValueError):
    """A checkpoint is not what was saved; the message says where."""


def check_archive(path: Path) -> None:
    """Check a file of torch.save before it is loaded: the CRC of every entry, and what its pickle would import.

    Raises:
        Damaged: it is not a zip archive of stored entries, an entry differs, or the pickle imports more than tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
                raise Damaged("its entries are compressed or encrypted")
            if len(set(names)) < len(names) or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise Damaged("its entries overlap")
            bad = archive.testzip()
            pickles = [archive.read(name) for name in names if name.endswith("data.pkl")]
    except Damaged:
        raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is a seek to before the file
            raise
        raise Damaged("it is not a complete zip archive") from None
    if bad is not None:
        raise Damaged(f"{bad} fails its CRC check")
    for name in (name for pickled in pickles for name in _imports(pickled)):
        if name.split(" ")[0] not in _PICKLED:
            raise Damaged(f"it would import {name.replace(' ', '.')[:60]!r}, which tensors and numbers don't need")


def _imports(pickled: bytes) -> set[str]:
    """The imports of a pickle, "module name" each, found without running it."""
    try:
        found = {(code.name, argument) for code, argument, _ in pickletools.genops(pickled)}
    except Exception:  # pickletools raises many kinds
        raise Damaged("its pickle is truncated or damaged") from None
    if any(name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4") for name, _ in found):
        raise Damaged("its pickle was not written by torch.save")
    return {str(argument) for name, argument in found if name == "GLOBAL"}


def state_checksum(values: Any) -> str:
    """SHA-256 of nested dicts and lists of tensors, numbers and text: of their structure, types, shapes and bits.

    Raises:
        Damaged: there are more values than in any checkpoint, or tensors are much larger than their memory.
    """
    digest, count, seen = hashlib.sha256(), 0, 0
    memory: dict[int, int] = {}
    left = [values]
    while left:
        value = left.pop()
        count += 1
        if count > _MOST_VALUES:
            raise Damaged("it holds too many values")
        if isinstance(value, Mapping):
            digest.update(f"dict {len(value)}\n".encode())
            left += [item for pair in value.items() for item in pair]
            left.append(getattr(value, "_metadata", None))  # that of modules, which says their versions
        elif isinstance(value, list | tuple):
            digest.update(f"{'list' if isinstance(value, list) else 'tuple'} {len(value)}\n".encode())
            left += value
        elif isinstance(value, Tensor) and _is_kept(value):
            storage, size = value.untyped_storage(), value.numel() * value.element_size()
            memory[storage.data_ptr()], seen = storage.nbytes(), seen + size
            if seen > _MOST_TIMES * sum(memory.values()) + _MOST_MORE:
                raise Damaged("it holds the same tensors many times")
            digest.update(f"{value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            plain = value is None or isinstance(value, bool | int | float | str | bytes)
            digest.update(f"{type(value).__name__} {value!r}\n".encode() if plain else type(value).__name__.encode())
    return digest.hexdigest()


def check_tensor(value: Any, name: str, *, like: Tensor | None = None, shape: tuple[int, ...] | None = None) -> None:
    """Check that a value is a finite tensor on the CPU.

    Args:
        value: what was found.
        name: of the value, for the message.
        like: a tensor of the expected dtype; float32 unless given.
        shape: the expected shape; any unless given.

    Raises:
        Damaged: it is not.
    """
    dtype = torch.float32 if like is None else like.dtype
    if not isinstance(value, Tensor) or not _is_kept(value):
        raise Damaged(f"{name} is not a dense tensor")
    if value.dtype != dtype:
        raise Damaged(f"{name} is of {value.dtype}, and should be of {dtype}")
    if shape is not None and tuple(value.shape) != shape:
        raise Damaged(f"{name} is of shape {tuple(value.shape)}, and should be of {shape}")
    if not bool(value.isfinite().all()):
        raise Damaged(f"{name} has NaN or infinite values")


def check_number(value: Any, name: str, *, integer: bool = False) -> None:
    """Check that a value is a finite number; with `integer`, an integer of 0 or more.

    Raises:
        Damaged: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int if integer else int | float):
        raise Damaged(f"{name} is not {'an integer' if integer else 'a number'}")
    if not math.isfinite(value) or (integer and value < 0):
        raise Damaged(f"{name} is {value}")


def _is_kept(value: Tensor) -> bool:
    """Whether a tensor is dense and in memory, as those of a checkpoint are."""
    return value.layout == torch.strided and not value.is_quantized and value.device.type != "meta"
