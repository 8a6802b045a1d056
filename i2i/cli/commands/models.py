"""`i2i models`: list the pretrained models."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.cli.arguments import parse

USAGE = ""
SUMMARY = "List the models that come with i2i"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i models`: none."""


def run(args: list[str]) -> int:
    """List the pretrained models."""
    parse(Flags, "models", args, SUMMARY)

    from i2i.pretrained import pretrained

    rows = [("name", "direction", "size", "licence", "scores on held-out images", "thumbnail")]
    for name, entry in pretrained().items():
        size = f"{entry.file.stat().st_size / 1e6:.1f} MB" if entry.file.is_file() else "download"
        rows.append((name, entry.direction, size, entry.licence, entry.scores, str(entry.thumbnail)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("cards: the .md file beside each thumbnail; use one: i2i translate INPUT OUTPUT --model NAME")
    return 0
