"""`i2i demo`: try the pretrained models in a browser."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.cli.arguments import parse
from i2i.cli.commands import serve

USAGE = ""
SUMMARY = "Try the pretrained models in a browser"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i demo`."""

    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    open: bool = True
    """Open the page in a browser."""


def run(args: list[str]) -> int:
    """Serve the pretrained models, and open the page."""
    flags = parse(Flags, "demo", args, SUMMARY)
    return serve.serve(serve.Flags(port=flags.port, open=flags.open))
