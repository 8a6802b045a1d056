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

    for name, entry in pretrained().items():
        print(f"{name:12}  {entry.file.stat().st_size / 1e6:5.1f} MB  {entry.description}")
    return 0
