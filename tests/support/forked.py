"""What tests start in another process, which imports it by name."""

from __future__ import annotations

import multiprocessing

from i2i.cli import main


def train_with(start: str, words: list[str]) -> None:
    """Run the command line in a process that starts workers in this way."""
    multiprocessing.set_start_method(start, force=True)
    main(words)
