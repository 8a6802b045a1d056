"""Pairs that a table lists: a CSV file with the columns a and b, and split if some are held out."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

from i2i.data.layout import Layout, Source, Split
from i2i.errors import UsageError

_SPLITS = ("train", "val", "test")
_EXPECTED = "expected the columns a and b with paths of images, and split (train, val or test) if some are held out"


class _Row(NamedTuple):
    a: Path
    b: Path
    split: str


def is_table(path: Path) -> bool:
    """Whether data are a table rather than a folder."""
    return path.suffix.lower() == ".csv" and not path.is_dir()


def read_table(path: Path, *, data: Literal["paired", "unpaired", "single"]) -> Layout:
    """The images that a table lists; relative paths start at its folder.

    Raises:
        UsageError: it can't be read, lacks a column, or names a file that isn't there; the message says which line.
    """
    if data == "single":
        raise UsageError(f"{path}: this method learns from a single set of images; give a folder in place of a table")
    rows: dict[str, list[_Row]] = defaultdict(list)
    for row in _rows(path):
        rows[row.split].append(row)
    held_out = next((name for name in ("val", "test") if rows[name]), "")
    train = _split(rows["train"], "train")
    validation = _split(rows[held_out], held_out) if held_out else None
    return Layout("name" if data == "paired" else "unpaired", ("A", "B"), train, validation)


def _split(rows: list[_Row], name: str) -> Split:
    return Split(tuple(Source(row.a) for row in rows), tuple(Source(row.b) for row in rows), name=name)


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or ()
            if not {"a", "b"} <= set(columns):
                raise UsageError(f"{path}: the columns are {', '.join(columns) or 'missing'}; {_EXPECTED}")
            rows = [_row(path, line, entries) for line, entries in enumerate(table, start=2)]
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such table") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} can't be read as a table: {error}; {_EXPECTED}") from None
    if not rows:
        raise UsageError(f"{path}: no pairs in this table; {_EXPECTED}")
    return rows


def _row(path: Path, line: int, entries: dict[str, str | None]) -> _Row:
    split = (entries.get("split") or "train").strip()
    if split not in _SPLITS:
        raise UsageError(f"{path}, line {line}: split is {split!r}; expected {', '.join(_SPLITS)}")
    images = {}
    for column in ("a", "b"):
        name = (entries[column] or "").strip()
        images[column] = path.parent / name
        if not name or not images[column].is_file():
            raise UsageError(f"{path}, line {line}: {column} is {name!r}; there is no such file in {path.parent}")
    return _Row(images["a"], images["b"], split)
