"""`i2i check DATA`: what is wrong with a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import Quiet, Verbose, one_or_two, parse
from i2i.errors import UsageError


@dataclass(frozen=True)
class Check:
    """Flags of `i2i check`."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of images, or two, as for i2i train."""
    image_size: int = 256
    """--image-size of the training: height and width of an image, in pixels."""
    channels: tuple[int, int] = (3, 3)
    """--channels of the training."""
    max_megapixels: int = 178
    """--max-megapixels of the training."""
    json: Path | None = None
    """Also write all findings, with the names of all files, to this file."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """`i2i check DATA`: 1 where there is an error among what is found."""
    flags = parse(Check, "check", args, "Say what is wrong with a data set, before training.")
    one_or_two(flags.data)
    if min(flags.image_size, flags.max_megapixels, *flags.channels) < 1:
        raise UsageError("--image-size, --channels and --max-megapixels are 1 or more")

    from i2i.data.check import as_text, check
    from i2i.files import write_whole
    from i2i.images.outputs import images_of, refuse_inputs

    if flags.json:
        if flags.json.is_dir():
            raise UsageError(f"--json {flags.json}: that is a folder; give a file, such as check.json")
        refuse_inputs([flags.json], images_of(flags.data), flag="--json")

    report = check(
        flags.data, image_size=flags.image_size, channels=flags.channels, max_megapixels=flags.max_megapixels
    )
    print(as_text(report))
    if flags.json:
        write_whole(flags.json, json.dumps(report.to_dict(), indent=2).encode())
    return 1 if any(finding.severity == "error" for finding in report.findings) else 0
