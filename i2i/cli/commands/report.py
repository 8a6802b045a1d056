"""`i2i report RUN RUN ...`: a page that compares runs; of one run, its own report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import one_line, parse
from i2i.errors import UsageError

USAGE = "RUN [RUN ...]"
SUMMARY = "Compare runs on one page, or write the report of one run again"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i report`."""

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Folders of runs. Several are compared on one page, with curves, sample grids, scores and the settings that
    differ; of one, report.html is written again in its folder."""
    output: Path | None = None
    """The page that compares several runs, with the sample grids in it (default: comparison.html)."""
    overwrite: bool = False
    """Replace a file that is no such page."""


def run(args: list[str]) -> int:
    """Write the page and print where it is."""
    flags = parse(Flags, "report", args, SUMMARY)
    if not flags.runs:
        raise UsageError("RUN is missing; give folders of runs: i2i report runs/one runs/other")

    from i2i.report import require_runs, write_comparison, write_page

    folders = [Path(name) for name in flags.runs]
    require_runs(folders)
    if len(folders) == 1:
        page = folders[0] / "report.html"
        if flags.output is not None:
            raise UsageError(
                f"--output is for a page of several runs; that of one is {page}: give more runs, or no --output"
            )
        write_page(folders[0])
    else:
        page = flags.output or Path("comparison.html")
        _refuse_files_of_runs(page, folders)
        write_comparison(folders, page, overwrite=flags.overwrite)
    print(one_line(f"report: {page}"))
    return 0


def _refuse_files_of_runs(page: Path, folders: list[Path]) -> None:
    from i2i.images.outputs import files_of_model, refuse_inputs

    for folder in folders:
        inputs = [*files_of_model(folder / "model.safetensors"), folder / "summary.json", *folder.glob("samples/*.png")]
        refuse_inputs([page], inputs, flag="--output")
