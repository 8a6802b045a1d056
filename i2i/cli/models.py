"""`i2i models`: those that come with i2i."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.cli.arguments import parse


@dataclass(frozen=True)
class Models:
    """`i2i models` has no flags."""


def run(args: list[str]) -> int:
    """`i2i models`."""
    parse(Models, "models", args, "List the models that come with i2i.")

    from i2i.pretrained import pretrained

    for name, entry in pretrained().items():
        print(f"{name:12}  {entry.file.stat().st_size / 1e6:5.1f} MB  {entry.description}")
    return 0
