"""`i2i push MODEL USER/NAME`: upload a model to the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from i2i.cli.arguments import Quiet, Verbose, one_line, parse

USAGE = "MODEL USER/NAME"
SUMMARY = "Upload a model to the Hugging Face Hub"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i push`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A model file, the folder of a run, or a pretrained model (see: i2i models)."""
    repository: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="USER/NAME")]
    """The repository, made if there is none. A model card is made from the model's header, unless one was written by
    hand."""
    private: bool = False
    """Make the repository private; one that is public already is refused."""
    revision: str | None = None
    """The branch to upload to (default: main)."""
    licence: str | None = None
    """Licence for the model card: an identifier that the Hub knows, such as mit."""
    message: str = "Upload a model of i2i"
    """Message of the commit."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Upload a model."""
    flags = parse(Flags, "push", args, SUMMARY)

    from i2i.inference.sharing import push_to_hub

    address = push_to_hub(
        flags.model,
        flags.repository,
        private=flags.private,
        revision=flags.revision,
        licence=flags.licence,
        message=flags.message,
    )
    print(one_line(address))
    at = f"@{flags.revision}" if flags.revision else ""
    print(one_line(f"use it: i2i translate INPUT OUTPUT --model hf://{flags.repository}{at}"))
    return 0
