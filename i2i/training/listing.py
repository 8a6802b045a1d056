"""What a checkpoint keeps of the data set: its classes, and a listing of its files that tells whether they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.data import Layout
from i2i.data.layout import Images, Split
from i2i.errors import UsageError
from i2i.training.diagnostics import Diagnosis
from i2i.training.integrity import Damaged, check_number, state_checksum

_PART = 500_000  # values in a checksum


def describe_data(layout: Layout, folders: Sequence[str]) -> dict[str, Any]:
    """The classes of a data set, and of each split the number of files and checksums of their names and sizes."""
    splits = {"training": layout.train, "held-out": layout.validation}
    listing = {name: _listing(split, folders) for name, split in splits.items() if split is not None}
    return {"classes": list(layout.classes), "listing": listing}


def check_data(found: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check what a checkpoint keeps of the data set.

    Raises:
        Damaged: it is not what was saved.
        UsageError: its classes differ.
    """
    classes, listing = found.get("classes", []), found.get("listing", {})
    if not isinstance(classes, list) or not isinstance(listing, dict):
        raise Damaged("data has the wrong type")
    for name, split in listing.items():
        if not isinstance(split, dict):
            raise Damaged(f"data/listing/{name} has the wrong type")
        check_number(split.get("files"), f"data/listing/{name}/files", integer=True)
    if classes != now.get("classes", []):
        was, has = (", ".join(map(str, names)) or "no classes" for names in (classes, now.get("classes", [])))
        raise UsageError(f"the run was trained with {was}, and the data now has {has}; bring back the classes")


def changed_files(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Diagnosis]:
    """A warning for each split whose files changed since a checkpoint was saved."""
    found = []
    before, after = then.get("listing", {}), now.get("listing", {})
    for name in [name for name in ("training", "held-out") if before.get(name) != after.get(name)]:
        was, has = (listing.get(name) or {"files": 0} for listing in (before, after))
        if was["files"] != has["files"]:
            difference = f"{was['files']} then, {has['files']} now"
        else:
            same = was.get("names") == has.get("names")
            difference = "files have other sizes" if same else "files have other names, or another order"
        found.append(
            Diagnosis(
                f"the {name} images have changed since the run was saved ({difference})",
                "bring back the old images to resume exactly; with the new ones the run is not reproducible, and "
                "validation scores from before and after do not compare",
            )
        )
    return found


def _listing(split: Split, folders: Sequence[str]) -> dict[str, Any]:
    if isinstance(split.b, Images):
        domains = [images for images in (split.a, split.b) if isinstance(images, Images)]
        checksums = list(zip(*(images.checksums for images in domains), strict=True))
        count = sum(map(len, domains))
        return {"files": count, "names": state_checksum(checksums[0]), "sizes": state_checksum(checksums[1])}
    paths = list(dict.fromkeys(source.path for source in (*split.a, *split.b)))
    names = [_name_in(path.resolve(), folders) for path in paths]
    sizes = [path.stat().st_size if path.exists() else None for path in paths]
    return {"files": len(paths), "names": _checksum(names), "sizes": _checksum(sizes)}


def _checksum(values: Sequence[Any]) -> str:
    """The checksum of values, in parts where there are more than those of a checkpoint may be."""
    parts = [values[start : start + _PART] for start in range(0, len(values), _PART)]
    return state_checksum(values) if len(parts) < 2 else state_checksum([state_checksum(part) for part in parts])


def _name_in(path: Path, folders: Sequence[str]) -> str:
    """The path of a file within its data folder, which may have moved."""
    roots = (Path(folder).resolve() for folder in folders)
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return path.relative_to(root).as_posix()
