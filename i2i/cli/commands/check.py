"""`i2i check DATA`: find problems in a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import Quiet, Verbose, check_json, one_or_two, parse
from i2i.errors import UsageError

USAGE = "DATA"
SUMMARY = "Find problems in a data set before training"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i check`."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of images, or two, as for training."""
    image_size: int = 256
    """Image size of the training, in pixels."""
    channels: tuple[int, int] = (3, 3)
    """Channels of the input and of the target in the training."""
    max_megapixels: int = 178
    """Report larger images, which training refuses."""
    json: Path | None = None
    """Also write all findings, with all file names, to this JSON file."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Check a data set: 1 if there are errors among the findings."""
    flags = parse(Flags, "check", args, SUMMARY)
    one_or_two(flags.data)
    if min(flags.image_size, flags.max_megapixels, *flags.channels) < 1:
        raise UsageError("--image-size, --channels and --max-megapixels must be 1 or more")

    from i2i.data.check import as_text
    from i2i.data.check import check as check_data
    from i2i.files import write_whole
    from i2i.images.outputs import images_of

    check_json(flags.json, "check", images_of(flags.data) if flags.json else ())
    report = check_data(
        flags.data, image_size=flags.image_size, channels=flags.channels, max_megapixels=flags.max_megapixels
    )
    print(as_text(report))
    if flags.json:
        write_whole(flags.json, json.dumps(report.to_dict(), indent=2).encode())
    return 1 if any(finding.severity == "error" for finding in report.findings) else 0
