"""What tests start in another process, which imports it by name."""

from __future__ import annotations

import multiprocessing

import torch

from i2i.cli import main


def train_with(start: str, words: list[str]) -> None:
    """Run the command line in a process that starts workers in this way."""
    torch.set_num_threads(1)  # as in the tests' own process: sums over more threads round otherwise
    multiprocessing.set_start_method(start, force=True)
    main(words)
